"""One detector's monitor: its drift state, and what only a service knows of it.

The state is compared with the calibration of the version in service. A version that calibrated on
other scores is another baseline; one with only another threshold is not, and the line of the
baseline stays. Image ids and times belong to alarms, and the last images are at hand, so that the
traffic itself can become the baseline.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np

from app.monitoring.baselines import key_of, of_calibration, reference_of
from app.monitoring.filling import Fillings
from app.monitoring.notes import Image, Raised, Reference
from app.monitoring.window_record import Said
from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.drift.autocorrelation import Thinning
from detector.drift.promise import Promise
from detector.drift.state import INPUTS, WINDOW, Baseline, DriftState
from detector.drift.window import window_size
from detector.errors import InsufficientCalibrationError, InvalidSpecError
from detector.tensor_file import pack, unpack

__all__ = ["LEAST_IMAGES", "RECENT_IMAGES", "Monitor", "Raised", "Reference", "key_of"]

RECENT_IMAGES = 2000
"""Last images at hand to be a baseline."""
LEAST_IMAGES = 20
"""Fewest images not above the line that can be a baseline of traffic."""
TOLD_ALARMS = 20
_KIND, _FORMAT = "drift", 1


@dataclass(slots=True)
class Took:
    """What came of images: alarms; numbers of those that a window may take, by place; windows."""

    raised: list[Raised] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    skipped: int = 0


class Monitor:
    """What ``to_bytes`` keeps and ``from_bytes`` returns.

    Attributes:
        state: the evidence.
        reference: what it is compared with.
        raised: the last alarms, and all that are latched, in order.
        dropped: images that came too fast to be taken in, or had no finite numbers.
        last_window, alarmed_window: what was said of the last window that was tested, and of the
            last one that was an alarm.
        windows: the one being filled, and those that wait for their test.
        sources: the last batch of each process whose notes were taken, latest last.
    """

    def __init__(self, state: DriftState, reference: Reference) -> None:
        self.state, self.reference = state, reference
        self.raised: list[Raised] = []
        self.dropped = 0
        self.last_window: Said | None = None
        self.alarmed_window: Said | None = None
        self.windows = Fillings(state.images)
        self.sources: dict[str, int] = {}
        self._recent: deque[tuple[float, ...]] = deque(maxlen=RECENT_IMAGES)

    @classmethod
    def begun(cls, stored: Stored, promise: Promise, at: datetime) -> "Monitor":
        """Return the monitor of a detector that was never watched.

        Raises:
            NotCalibratedError: if there are no calibration scores, or there is no line.
            StaleCalibrationError: if they are of another fit.
            InvalidSpecError: if they cannot be a baseline, or the promise is too short for them.
        """
        baseline = of_calibration(stored.detector)
        thinning = Thinning.of_scores(baseline.scores)
        state = DriftState(baseline, promise, thinning, int(stored.entry.id, 16))
        return cls(state, reference_of(stored.detector, baseline, at))

    def follow(self, detector: Detector, at: datetime) -> None:
        """Take the calibration of the version in service as baseline, unless it is the same.

        Raises:
            as ``begun``.
        """
        baseline = of_calibration(detector)
        if key_of(detector.require_calibrated()) != self.reference.key:
            self.state.rebaseline(baseline, Thinning.of_scores(baseline.scores))
            self.reference = reference_of(detector, baseline, at)
            self._forget_windows()
            self._recent.clear()

    @property
    def is_decided(self) -> bool:
        """Whether it is decided if windows are tested against the baseline."""
        return self.state.windows or bool(self.reference.no_windows)

    @property
    def tests_windows(self) -> bool:
        """Whether they are tested; their share stays theirs when they no longer can be."""
        return self.state.windows and not self.reference.no_windows

    def decide(self, no_windows: str) -> None:
        """Let windows be tested from now on, unless there is a reason not to."""
        self.reference = replace(self.reference, no_windows=no_windows)
        if no_windows:
            self.windows = Fillings(self.state.images)
        else:
            self.state.admit_windows()

    def take(self, images: Iterable[Image]) -> Took:
        """Take in images, in order."""
        took, found = Took(), []
        unknown = (np.nan,) * len(INPUTS)
        watched = INPUTS[0] in self.state.streams
        size = window_size(self.state.window_promise) if self.tests_windows else 0
        for place, image in enumerate(images):
            look = unknown if image.look is None else image.look
            number, is_taken = self.state.images, self.state.takes()
            try:
                alarms = self.state.update(image.score, look if watched else None)
            except InvalidSpecError:
                self.dropped += 1
                continue
            self._recent.append((image.score, *look))
            if is_taken and image.squeezed:
                took.numbers[place] = number
                if size:
                    inside = image.score < self.state.line
                    took.skipped += self.windows.add(number, size, inside=inside)
            found += [Raised(each.stream, each.image, image.id, image.at) for each in alarms]
        if not size:
            self.windows = Fillings(self.state.images)
        self._tell([*self.raised, *found])
        took.raised = found
        return took

    def hear(self, said: Said) -> list[Raised]:
        """Take in what was said of a window, and return the alarm that it raises, if any."""
        self.last_window = said
        if not said.drifted or not self.state.window_drifted(said.last_image):
            return []
        self.alarmed_window = said
        found = [Raised(WINDOW, said.last_image, said.last_id, said.at)]
        self._tell([*self.raised, *found])
        return found

    def rebaseline(self, detector: Detector, images: int, at: datetime) -> None:
        """Compare with the last images from now on; those above the line are anomalies among them.

        Raises:
            InsufficientCalibrationError: if there were not so many since the version is in service,
                or hardly any of them is normal.
            NotCalibratedError: if there is no line.
            InvalidSpecError: if the promise is too short for them.
        """
        last = np.array(self._recent, dtype=np.float64).reshape(-1, 1 + len(INPUTS))[-images:]
        if len(last) < images:
            raise InsufficientCalibrationError(
                f"only {len(last)} images were seen of the version in service: ask for fewer, or "
                "wait"
            )
        line = detector.require_threshold().value
        normal = int(np.sum(last[:, 0] <= line))
        if normal < LEAST_IMAGES:
            raise InsufficientCalibrationError(
                f"of these images {normal} are not above the line, and {LEAST_IMAGES} are needed: "
                "the detector does not fit the traffic any more; fit or calibrate it again"
            )
        inputs = last[:, 1:] if np.isfinite(last).all() else None
        baseline = Baseline(last[:, 0], line, inputs)
        self.state.rebaseline(baseline, Thinning.of_scores(baseline.scores))
        made = reference_of(detector, baseline, at)
        self.reference = replace(made, of="traffic")
        self._forget_windows()

    def latched(self, stream: str) -> Raised | None:
        """Return the alarm of a stream that nobody has acknowledged, if there is one."""
        alarm = self.state.latched.get(stream)
        same = (each for each in reversed(self.raised) if each.stream == stream)
        return None if alarm is None else next(same, None)

    def to_bytes(self) -> bytes:
        """Return the file of everything."""
        header, arrays = self.state.save()
        about = {
            "state": header,
            "reference": _plain(self.reference),
            "raised": [_plain(each) for each in self.raised],
            "dropped": self.dropped,
            "fillings": self.windows.plain(),
            "sources": self.sources,
            "windows": [each and each.plain() for each in (self.last_window, self.alarmed_window)],
        }
        numbers = chain.from_iterable(self._recent)
        recent = np.fromiter(numbers, np.float64).reshape(-1, 1 + len(INPUTS))
        tensors = {f"state/{name}": values for name, values in arrays.items()}
        return pack(_KIND, _FORMAT, about, {**tensors, "recent": recent})

    @classmethod
    def from_bytes(cls, content: bytes, promise: Promise) -> "Monitor":
        """Return the monitor, under a promise that may be another one by now.

        Whether windows are tested is to be decided again under another one, for it sets their size.

        Raises:
            ArtefactError: if the file is damaged or of another version of this program.
            InvalidSpecError: if the promise is too short for its baseline.
        """
        about, tensors = unpack(_KIND, _FORMAT, content)
        recent = tensors.pop("recent")
        arrays = {name.removeprefix("state/"): values for name, values in tensors.items()}
        header = {**about["state"], "promise": asdict(promise)}
        reference = {**_timed(about["reference"]), "medians": tuple(about["reference"]["medians"])}
        is_another = header["promise"] != about["state"]["promise"]
        if is_another:
            header["windows"], reference["no_windows"] = False, ""
        monitor = cls(DriftState.restored(header, arrays), Reference(**reference))
        monitor.raised = [Raised(**_timed(each)) for each in about["raised"]]
        monitor.dropped = about["dropped"]
        windows = about.get("windows", (None, None))  # there were none in older versions
        monitor.last_window, monitor.alarmed_window = (
            each and Said.restored(each) for each in windows
        )
        if not is_another and "fillings" in about:  # older versions kept none of these
            monitor.windows = Fillings.restored(about["fillings"])
        monitor.sources = about.get("sources", {})
        monitor._recent.extend(map(tuple, recent.tolist()))
        return monitor

    def _forget_windows(self) -> None:
        """Begin a window of images that are compared with another baseline."""
        self.last_window = self.alarmed_window = None
        self.windows = Fillings(self.state.images)

    def _tell(self, raised: list[Raised]) -> None:
        """Keep the last alarms, and of each latched stream its own."""
        last = len(raised) - TOLD_ALARMS
        self.raised = raised
        latched = {self.latched(stream) for stream in self.state.latched}
        self.raised = [each for i, each in enumerate(raised) if i >= last or each in latched]


def _plain(value: Reference | Raised) -> dict[str, Any]:
    return {**asdict(value), "at": value.at.isoformat()}


def _timed(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "at": datetime.fromisoformat(values["at"])}
