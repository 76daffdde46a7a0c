"""How soon a change of the traffic would be seen: simulated on the calibration, and remembered.

It is about the calibration of a version; where the baseline has become the traffic, or evidence was
gathered before, delays are others. One change is a call on the threads of learning, some tenths of
a second, so that nothing waits long for it; scoring never does.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.monitoring.monitor import key_of
from app.service import Service
from app.storage.cache import Cache
from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.drift.autocorrelation import Thinning
from detector.drift.baseline import Baseline
from detector.drift.power import Change, Power, simulated
from detector.drift.promise import Promise
from detector.errors import InvalidSpecError

CHANGES = (Change(0.25), Change(0.5), Change(1.0), Change(spread=1.5), Change(spread=0.7))
"""What is simulated unless asked otherwise."""
REPEATS = 25
BEFORE, HORIZON = 500, 1000
"""Monitored images before and after a change: what bounds the work, whatever the thinning."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How soon changes would be seen of a version's traffic.

    Attributes:
        stored: the version.
        promise: on false alarms.
        thinning: which images are monitored.
        calibration: how many images are compared with.
        powers: of each change, in the order asked for.
    """

    stored: Stored
    promise: Promise
    thinning: Thinning
    calibration: int
    powers: Sequence[Power]


async def outlook(
    service: Service,
    name: str,
    *,
    version: int | None = None,
    promise_images: float | None = None,
    changes: Sequence[Change] = CHANGES,
    progress: Callable[[int], object] = lambda _: None,
) -> Outlook:
    """Return how soon changes would be seen.

    Args:
        service: that runs.
        name: of the detector.
        version: whose calibration; None for the one in service.
        promise_images: images among which one false alarm is allowed; None for the setting's.
        changes: to be simulated.
        progress: called with 1 for each that was.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotCalibratedError, StaleCalibrationError
        InvalidSpecError: if there is no promise, it is too short for the calibration, or this
            cannot be a baseline.
        UnavailableError: if the service is stopping.
    """
    promise = promised(service, promise_images)
    stored = await asyncio.to_thread(service.catalogue.get, name, version)
    baseline = baseline_of(stored.detector)
    thinning = await asyncio.to_thread(Thinning.of_scores, baseline.scores)
    key = f"{key_of(stored.detector.require_calibrated())} {baseline.line} {promise.images}"
    powers = []
    for change in changes:
        simulate = partial(_power, baseline, promise, thinning, change)
        find = partial(_known, service.powers, f"{key} {change!r}", simulate)
        powers.append(await service.in_pool(find))
        progress(1)
    return Outlook(stored, promise, thinning, len(baseline.scores), powers)


def _known(known: Cache[Power], key: str, simulate: Callable[[], Power]) -> Power:
    """Return what is known, or simulate: asked twice at a time, the second one mostly finds it."""
    return known.get(key) or known.keep(key, simulate())


def _power(baseline: Baseline, promise: Promise, thinning: Thinning, change: Change) -> Power:
    every = round(thinning.every)
    return simulated(
        baseline,
        promise,
        thinning,
        change,
        repeats=REPEATS,
        before=BEFORE * every,
        horizon=HORIZON * every,
        windows=True,
    )


def promised(service: Service, images: float | None) -> Promise:
    """Return the promise that is asked for, or the setting's.

    Raises:
        InvalidSpecError: if there is none, or it is of no more than one image.
    """
    asked = service.settings.drift_false_alarm_images if images is None else images
    if not asked:
        raise InvalidSpecError(
            "drift is not watched (GATEWATCH_DRIFT_FALSE_ALARM_IMAGES is 0), so there is no "
            "promise: give one"
        )
    return Promise(float(asked))


def baseline_of(detector: Detector) -> Baseline:
    """Return the calibration as a baseline.

    Raises:
        NotCalibratedError, StaleCalibrationError
        InvalidSpecError: if it cannot be one.
    """
    known = detector.require_calibrated()
    detector.require_fresh()
    return Baseline(known.scores, detector.require_threshold().value, known.inputs)
