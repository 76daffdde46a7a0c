"""What the reviews suggest: another line, or images to add; nothing serves before it is promoted.

``conformal``: false alarms become calibration images. They were chosen for lying above the line, so
they can only raise it: of normal images like the calibration's at most the target's share is still
flagged on average, and more anomalies may be missed. ``between``: a line between the images that
people found normal and those they found anomalous; it parts these and promises nothing of others.
``extend``: false alarms are fitted, and calibration images and known anomalies judged anew.

Images that were rightly passed are held against a line by ``between`` alone. They were chosen for
lying below a line: as calibration images they could lower it, and its promise would not hold.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from app.errors import NoProposalError, RowsNotKeptError
from app.lines import Line, decided
from app.past.rejudging import recalibrated
from app.past.reviewed import Reviewed
from app.service import Service
from app.storage.history import ScoredImage
from app.storage.version_reader import Stored
from detector.calibration import Calibration
from detector.detector import Detector
from detector.errors import MissingAnomaliesError, NotCalibratedError
from detector.verdict import Threshold

Kind = Literal["threshold", "images"]
Rule = Literal["conformal", "between", "extend"]
RULES: dict[Rule, Kind] = {"conformal": "threshold", "between": "threshold", "extend": "images"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A detector as it would be, and the reviewed images that it took in, by their place."""

    detector: Detector
    taken: Sequence[int]


async def candidate(
    service: Service, stored: Stored, known: Reviewed, rule: Rule, target: float | None
) -> Candidate:
    """Return what a rule makes of the version in service and its reviews.

    Args:
        service: that runs.
        stored: the version in service.
        known: the images that were reviewed.
        rule: see above.
        target: highest false-alarm rate, for ``conformal``; None for that of the line in service.

    Raises:
        NoProposalError: if the reviews give no reason for it.
        NotFittedError, NotCalibratedError, StaleCalibrationError, InsufficientCalibrationError,
        InvalidSpecError, DegenerateDataError
    """
    stored.detector.require_fitted()
    present = stored.detector.require_threshold()
    if known.rows is None:
        raise NoProposalError("no image was reviewed whose rows are kept: review some first")
    scores = await service.in_pool(partial(stored.detector.scores, known.rows))
    match rule:
        case "conformal":
            fresh = await asyncio.to_thread(_fresh, service, stored, known)
            return _conformal(stored.detector, present, known, scores, fresh, target)
        case "between":
            return _between(stored.detector, present, known, scores)
        case "extend":
            return await _extended(service, stored, known)


def _conformal(
    detector: Detector,
    present: Threshold,
    known: Reviewed,
    scores: Float[np.ndarray, " n"],
    fresh: Bool[np.ndarray, " n"],
    target: float | None,
) -> Candidate:
    calibration = detector.require_calibrated()
    parameters = dict(present.parameters) if present.method == "conformal" else {}
    wanted = target or present.target
    if wanted is None:
        raise NoProposalError(
            f"the line in service, {present.method!r}, has no target rate: give target"
        )
    line = Line("conformal", parameters | {"target": wanted}, bool(present.by_group))
    plain = decided(detector, line).require_threshold()
    taken = _places(_above(plain, known.images, scores) & fresh)
    if not taken:
        raise NoProposalError(
            f"no false alarm that is new to the detector lies above {plain.value:g}, the conformal "
            f"line for a target of {wanted:g}: there is nothing to mend by it"
        )
    groups = [known.images[place].group for place in taken]
    if line.by_group:  # few images of a group that was never calibrated are no line of their own
        groups = [group if group in calibration.names else "" for group in groups]
    more = replace(
        calibration,
        scores=np.concatenate([calibration.scores, scores[taken]]),
        inputs=_inputs(calibration, known, taken),
        groups=_groups(calibration, groups),
    )
    new = decided(detector.having(calibration=more), line).require_threshold()
    statement = (
        f"{plain.statement} {len(taken)} reviewed false alarm(s) above that line, {plain.value:g}, "
        f"were added as normal images, which can only raise it, here to {new.value:g}: the promise "
        f"holds, and more anomalies may be missed."
    )
    threshold = _with_review(replace(new, statement=statement), present)
    return Candidate(detector.having(calibration=more, threshold=threshold), taken)


def _between(
    detector: Detector, present: Threshold, known: Reviewed, scores: Float[np.ndarray, " n"]
) -> Candidate:
    if not known.are("false_alarm", "missed").any():
        raise NoProposalError(
            "no reviewed image is a false alarm or was missed: there is nothing to mend by a line"
        )
    normal = scores[known.are("false_alarm", "passed")]
    anomalies = scores[known.are("confirmed", "missed")]
    if not len(normal) or not len(anomalies):
        raise NoProposalError(
            f"a line between takes reviewed images on both sides: there are {len(normal)} normal "
            f"one(s), false alarms or passed, and {len(anomalies)} anomalies, confirmed or missed"
        )
    low, high = float(normal.max()), float(anomalies.min())
    if low >= high:
        raise NoProposalError(
            f"no line lies between: the highest normal image scores {low:g}, the lowest anomaly "
            f"{high:g}; images to add may part them, or another scorer"
        )
    middle = low / 2 + high / 2
    drawn = decided(detector, Line("manual", {"value": middle})).require_threshold()
    statement = (
        f"Midway between the highest of {len(normal)} reviewed normal image(s), {low:g}, and the "
        f"lowest of {len(anomalies)} reviewed anomalies, {high:g}. {drawn.statement}"
    )
    threshold = _with_review(replace(drawn, statement=statement), present)
    return Candidate(detector.having(threshold=threshold), [])


async def _extended(service: Service, stored: Stored, known: Reviewed) -> Candidate:
    detector, options = stored.detector, stored.detector.spec.options
    if options.flips or options.memory:
        what = "mirrored views of images" if options.flips else "a memory of picked images"
        raise NoProposalError(
            f"detector {stored.entry.name!r} learns {what}, which rows of scored images do not "
            "hold: send the images to .../fit?mode=extend"
        )
    taken = _places(await asyncio.to_thread(_fresh, service, stored, known))
    if not taken:
        raise NoProposalError("there is no reviewed false alarm that is new to the detector")
    learned = await service.in_pool(partial(_learned, detector, known, taken))
    present = detector.require_threshold()
    line = Line.of(present)
    try:
        if line.method != "manual":
            learned = await recalibrated(service, stored, learned)
        learned = await service.in_pool(partial(decided, learned, line, allow_stale=True))
    except (NotCalibratedError, RowsNotKeptError, MissingAnomaliesError):
        pass  # it stays as it is, stale, until it is calibrated again
    return Candidate(learned, taken)


def _learned(detector: Detector, known: Reviewed, taken: Sequence[int]) -> Detector:
    assert known.rows is not None
    return detector.learn(detector.statistics_of(known.rows.take(taken)), extend=True)


def _fresh(service: Service, stored: Stored, known: Reviewed) -> Bool[np.ndarray, " n"]:
    """Return which images are false alarms that are new to the version, each file but once."""
    versions = service.storage.versions
    both = (*versions.images(stored.entry), *versions.calibration_images(stored.entry))
    seen = {image.sha256 for image in both}
    fresh = known.are("false_alarm")
    for place in _places(fresh):
        fresh[place] = known.images[place].sha256 not in seen
        seen.add(known.images[place].sha256)
    return fresh


def _places(which: Bool[np.ndarray, " n"]) -> list[int]:
    return [int(place) for place in np.flatnonzero(which)]


def _above(
    threshold: Threshold, images: Sequence[ScoredImage], scores: Float[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Return which images a line flags."""
    above: np.ndarray = scores > np.array([threshold.line(image.group) for image in images])
    return above


def _groups(calibration: Calibration, added: Sequence[str]) -> tuple[str, ...]:
    if not calibration.groups and not any(added):
        return ()
    return (*(calibration.groups or ("",) * len(calibration)), *added)


def _inputs(
    calibration: Calibration, known: Reviewed, taken: Sequence[int]
) -> Float[np.ndarray, "n 3"] | None:
    """Return how calibration images and the added ones look; None if it is not known of all."""
    added = None if known.rows is None else known.rows.inputs
    if calibration.inputs is None or added is None:
        return None
    both: np.ndarray = np.concatenate([calibration.inputs, added[list(taken)]])
    return both


def _with_review(threshold: Threshold, present: Threshold) -> Threshold:
    """Return the line with the uncertain band of the one in service, where there is room for it."""
    if present.review is None or present.review >= threshold.value:
        return threshold
    statement = f"{threshold.statement} Above {present.review:g} begins review, as before."
    return replace(
        threshold,
        review=present.review,
        review_target=present.review_target,
        statement=statement,
    )
