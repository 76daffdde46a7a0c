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
from jaxtyping import Float

from detector.drift.autocorrelation import Thinning
from detector.drift.monitors import Frozen, Ranked, Rate, Stream
from detector.drift.promise import Promise
from detector.drift.uniforms import Uniforms
from detector.errors import InvalidSpecError

INPUTS = ("brightness", "contrast", "sharpness")
SHARES = {"bulk": 3.0, "rate": 1.0, "frozen": 1.0} | dict.fromkeys(INPUTS, 1 / 3)
"""Of the promise, to one another: most for the one that sees most."""
MONITORS = {"bulk": "bulk", "rate": "rate", "frozen": "frozen"} | dict.fromkeys(INPUTS, "input")
"""The monitor of each stream."""

ENOUGH = 100
"""Scores in ``bulk`` below which a change may have too little to be seen against."""


@dataclass(frozen=True)
class Baseline:
    """Normal images in order of time, with which the traffic is compared.

    Attributes:
        scores: of all of them, (m,).
        line: above it an image is flagged, and is the business of ``rate`` alone.
        inputs: brightness, contrast and sharpness of each, (m, 3), in any units; None: not watched.
        groups: lot, session or camera of each; needed if images are monitored by group.

    Raises:
        InvalidSpecError: if numbers are not finite or not as many, or all lie above the line.
    """

    scores: Float[np.ndarray, " m"]
    line: float
    inputs: Float[np.ndarray, "m 3"] | None = None
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        inputs = np.zeros((len(self.scores), 3)) if self.inputs is None else self.inputs
        if not (np.isfinite(self.scores).all() and np.isfinite(inputs).all()):
            raise InvalidSpecError("baseline: all scores and inputs must be finite numbers")
        if len(inputs) != len(self.scores):
            raise InvalidSpecError(
                f"baseline: {len(self.scores)} scores, but inputs of {len(inputs)} images"
            )
        if not (self.scores <= self.line).any():
            raise InvalidSpecError("baseline: at least one image must not be above the line")

    def kept(self, thinning: Thinning) -> "Baseline":
        """Return the images that a thinning leaves; all up to the line if it leaves none there.

        Raises:
            InvalidSpecError: if it is by group and groups are missing.
        """
        which = thinning.kept(len(self.scores), self.groups)
        if not (self.scores[which] <= self.line).any():
            which = np.flatnonzero(self.scores <= self.line)
        inputs = None if self.inputs is None else self.inputs[which]
        return Baseline(self.scores[which], self.line, inputs)


@dataclass(frozen=True)
class Alarm:
    """A stream's evidence has passed its threshold.

    Attributes:
        stream: which; ``MONITORS`` names its monitor.
        image: number of the image that did it, counted from 0 since the state began.
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
    """

    def __init__(self, baseline: Baseline, promise: Promise, thinning: Thinning, seed: int) -> None:
        """Begin; ``seed`` belongs to the detector, any whole number.

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
        number, self.images = self.images, self.images + 1
        if self.thinning.by_group:
            if group == self._group:
                return ()
            self._group = group
        elif number % int(self.thinning.every):
            return ()
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
            self.streams[stream].evidence.restart()

    def rebaseline(self, baseline: Baseline, thinning: Thinning | None = None) -> None:
        """Compare with another baseline from now on; alarms are cleared, counts go on.

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
        whole = sum(SHARES[name] for name in self.streams)
        self.thresholds_log10 = {
            name: self.promise.threshold_log10(self.thinning.every, SHARES[name] / whole)
            for name in self.streams
        }
        self._uniforms = {name: Uniforms(self._seed, i) for i, name in enumerate(MONITORS)}

    def _see(self, name: str, value: float, number: int) -> None:
        self.streams[name].see(value, self._uniforms[name].at(number))

    def _raised(self, number: int) -> tuple[Alarm, ...]:
        raised = tuple(
            Alarm(name, number)
            for name, threshold in self.thresholds_log10.items()
            if self.streams[name].evidence.reached(threshold) and name not in self.latched
        )
        for alarm in raised:
            self.latched[alarm.stream] = alarm
            self.alarms[alarm.stream] += 1
        return raised
