"""One detector's monitors: fed image by image, alarms that stay until acknowledged, restartable.

A baseline is what the traffic is compared with. Everything that later answers depend on is in
``DriftState.save``, the randomiser included: its numbers are a function of seed, stream and image
number. A state restored from it goes on bit for bit as the one saved would have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from detector.drift.autocorrelation import Thinning
from detector.drift.baseline import INPUTS, Baseline
from detector.drift.monitors import Frozen, Ranked, Rate, Stream
from detector.drift.promise import Promise
from detector.drift.shares import MONITORS, SHARES, WINDOW, whole
from detector.drift.uniforms import Uniforms
from detector.errors import InvalidSpecError

__all__ = ["ENOUGH", "INPUTS", "MONITORS", "SHARES", "WINDOW", "Alarm", "Baseline", "DriftState"]

ENOUGH = 100
"""Scores in ``bulk`` below which a change may have too little to be seen against."""


@dataclass(frozen=True)
class Alarm:
    """A stream's evidence has passed its threshold.

    Attributes:
        stream: which; ``MONITORS`` names its monitor.
        image: number of the image that did it, counted from 0 since the state began; of a window
            its last one.
    """

    stream: str
    image: int


class DriftState:
    """All monitors of a detector.

    Attributes:
        promise, thinning: as given.
        images: how many were offered since the state began, the next one's number.
        latched: the alarms that nobody has acknowledged, by stream.
        alarms: how many there have been since the state began, by stream.
        streams: what is watched, by name.
        windows: whether a window test has a share of the promise.
    """

    def __init__(self, baseline: Baseline, promise: Promise, thinning: Thinning, seed: int) -> None:
        """Begin without windows; ``seed`` belongs to the detector, any whole number.

        Raises:
            InvalidSpecError: if thinning leaves less than an image per false alarm, or needs groups
                that the baseline does not have.
        """
        self.promise, self.thinning, self._seed = promise, thinning, seed
        self.images = 0
        self._group: str | None = None
        self.latched: dict[str, Alarm] = {}
        self._watch(baseline.kept(thinning))
        self.alarms = dict.fromkeys(self.streams, 0)

    def update(
        self, score: float, inputs: Sequence[float] | None = None, group: str = ""
    ) -> tuple[Alarm, ...]:
        """Take in the next image and return the alarms it raises, often none.

        Args:
            score: of the image.
            inputs: its brightness, contrast and sharpness, exactly if the baseline has them.
            group: its lot, session or camera.

        Raises:
            InvalidSpecError: if a number is not finite or inputs are missing; nothing has changed.
        """
        given = tuple(inputs or ())
        if len(given) != len(self._inputs) or not all(map(isfinite, (score, *given))):
            raise InvalidSpecError(
                f"an image has a finite score and {len(self._inputs)} finite inputs here, got "
                f"{score} and {given}"
            )
        is_taken = self.takes(group)
        number, self.images = self.images, self.images + 1
        if not is_taken:
            return ()
        self._group = group if self.thinning.by_group else None
        if score <= self.line:
            self._see("bulk", score, number)
            self._see("frozen", score, number)
        self._see("rate", score, number)
        for name, value in zip(self._inputs, given, strict=True):
            self._see(name, value, number)
        return self._raised(number)

    def update_all(
        self,
        scores: Sequence[float],
        inputs: Sequence[Sequence[float]] | None = None,
        groups: Sequence[str] = (),
    ) -> list[Alarm]:
        """Take in a batch in order of arrival; the same as one by one.

        Raises:
            InvalidSpecError: as ``update``; the images before have been taken in.
        """
        alarms: list[Alarm] = []
        for index, score in enumerate(scores):
            given = None if inputs is None else inputs[index]
            alarms += self.update(score, given, groups[index] if groups else "")
        return alarms

    def takes(self, group: str = "") -> bool:
        """Return whether the next image is monitored if it is of this group."""
        if self.thinning.by_group:
            return group != self._group
        return self.images % int(self.thinning.every) == 0

    def admit_windows(self) -> None:
        """Let a window test have its share from now on; alarms of both keep the promise."""
        self.windows = True
        self._divide()

    @property
    def window_promise(self) -> Promise:
        """What is left for windows, in the images that they are made of."""
        share = SHARES[WINDOW] / whole(self.streams, windows=True)
        return self.promise.part(self.thinning.every, share)

    def window_drifted(self, image: int) -> tuple[Alarm, ...]:
        """Take in that a window with this last image has drifted; return its alarm if it is new."""
        return () if WINDOW in self.latched else self._latch((Alarm(WINDOW, image),))

    @property
    def warming_up(self) -> bool:
        """Whether there are too few scores to see a change against; alarms keep the promise."""
        bulk = self.streams["bulk"]
        return isinstance(bulk, Ranked) and bulk.ranks.n < ENOUGH

    def acknowledge(self, monitor: str | None = None) -> None:
        """Clear the alarms of a monitor, or all: evidence begins anew, the baseline stays.

        The promise holds on as long as what is acknowledged when is not chosen from later images.
        """
        for stream in [each for each in self.latched if monitor in (None, MONITORS[each])]:
            del self.latched[stream]
            if stream in self.streams:  # a window has no evidence
                self.streams[stream].evidence.restart()

    def rebaseline(self, baseline: Baseline, thinning: Thinning | None = None) -> None:
        """Compare with another baseline from now on; alarms are cleared, counts go on.

        A window test has no share until it is admitted again.

        Raises:
            InvalidSpecError: as when a state begins; nothing has changed.
        """
        thinning = thinning or self.thinning
        kept = baseline.kept(thinning)
        self.promise.threshold_log10(thinning.every)
        self.thinning, self._group = thinning, None
        self._watch(kept)
        self.latched = {}
        self.alarms = dict.fromkeys(self.streams, 0) | self.alarms

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return all that a restart needs: values for JSON, and arrays."""
        header = {
            "promise": asdict(self.promise),
            "thinning": asdict(self.thinning),
            "seed": self._seed,
            "line": self.line,
            "images": self.images,
            "group": self._group,
            "alarms": self.alarms,
            "latched": {name: alarm.image for name, alarm in self.latched.items()},
            "inputs": bool(self._inputs),
            "windows": self.windows,
        }
        arrays = {
            f"{name}/{part}": values
            for name, stream in self.streams.items()
            for part, values in stream.to_arrays().items()
        }
        return header, arrays

    @classmethod
    def restored(cls, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "DriftState":
        """Return the state that was saved."""
        inputs = np.zeros((1, 3)) if header["inputs"] else None
        state = cls(
            Baseline(np.full(1, header["line"]), header["line"], inputs, ("",)),
            Promise(**header["promise"]),
            Thinning(**header["thinning"]),
            header["seed"],
        )
        state.images, state._group = header["images"], header["group"]
        state.alarms = dict(header["alarms"])
        state.latched = {name: Alarm(name, image) for name, image in header["latched"].items()}
        for name, stream in state.streams.items():
            own = {key.split("/")[1]: each for key, each in arrays.items() if key.startswith(name)}
            stream.restore(own)
        if header.get("windows", False):  # states of older versions have none
            state.admit_windows()
        return state

    def _watch(self, kept: Baseline) -> None:
        self.line = kept.line
        below = kept.scores[kept.scores <= kept.line]
        self.streams: dict[str, Stream] = {
            "bulk": Ranked(below),
            "rate": Rate(kept.scores, kept.line),
            "frozen": Frozen(below),
        }
        if kept.inputs is not None:
            columns = zip(INPUTS, kept.inputs.T, strict=True)
            self.streams |= {name: Ranked(column) for name, column in columns}
        self._inputs = INPUTS if kept.inputs is not None else ()
        self.windows = False
        self._divide()
        self._uniforms = {name: Uniforms(self._seed, i) for i, name in enumerate(MONITORS)}

    def _divide(self) -> None:
        """Give each stream its share of the promise."""
        parts = whole(self.streams, windows=self.windows)
        self.thresholds_log10 = {
            name: self.promise.threshold_log10(self.thinning.every, SHARES[name] / parts)
            for name in self.streams
        }

    def _see(self, name: str, value: float, number: int) -> None:
        self.streams[name].see(value, self._uniforms[name].at(number))

    def _raised(self, number: int) -> tuple[Alarm, ...]:
        raised = tuple(
            Alarm(name, number)
            for name, threshold in self.thresholds_log10.items()
            if self.streams[name].evidence.reached(threshold) and name not in self.latched
        )
        return self._latch(raised)

    def _latch(self, raised: tuple[Alarm, ...]) -> tuple[Alarm, ...]:
        for alarm in raised:
            self.latched[alarm.stream] = alarm
            self.alarms[alarm.stream] = self.alarms.get(alarm.stream, 0) + 1
        return raised
