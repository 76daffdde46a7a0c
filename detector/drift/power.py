"""How soon a change would be seen with these settings: by simulation on the calibration itself.

Images are drawn from the baseline at random, with replacement. After some like it, their scores s
change to median + spread (s - median) + shift sd, and the images until the first alarm are counted.
Drawn images are independent: correlation enters only as the images that are not monitored.
"""

from dataclasses import dataclass

import numpy as np

from detector.calibration import Share
from detector.drift.autocorrelation import Thinning
from detector.drift.baseline import Baseline
from detector.drift.promise import Promise
from detector.drift.state import DriftState


@dataclass(frozen=True)
class Change:
    """What happens to scores.

    Attributes:
        shift: added, in standard deviations of the baseline.
        spread: what distances from the median are multiplied by.
    """

    shift: float = 0.0
    spread: float = 1.0

    def __str__(self) -> str:
        parts = [f"a shift by {self.shift:g} sd"] * (self.shift != 0)
        parts += [f"a spread times {self.spread:g}"] * (self.spread != 1)
        return " with ".join(parts) or "no change"


@dataclass(frozen=True)
class Power:
    """How soon a change was seen.

    Attributes:
        change: what was simulated.
        seen: in how many of the simulations, within the horizon.
        median_images: until half of them had seen it; None if fewer did.
        horizon: images after which the simulation gave up.
    """

    change: Change
    seen: Share
    median_images: int | None
    horizon: int

    def __str__(self) -> str:
        if self.median_images is None:
            return (
                f"With these settings {self.change} is seen within {self.horizon:,} images in only "
                f"{self.seen} simulations."
            )
        return (
            f"With these settings {self.change} is seen in about {self.median_images:,} images "
            f"(median; within {self.horizon:,} images in {self.seen} simulations)."
        )


def simulated(
    baseline: Baseline,
    promise: Promise,
    thinning: Thinning,
    change: Change,
    *,
    repeats: int = 50,
    before: int = 500,
    horizon: int = 1000,
    seed: int = 0,
    windows: bool = False,
) -> Power:
    """Return how soon a change is seen.

    Args:
        baseline: of the detector; its inputs, if any, share the promise but do not change.
        promise: of the detector.
        thinning: of the detector; one image per group counts as one in ``every``.
        change: of the scores.
        repeats: simulations.
        before: images like the baseline before it.
        horizon: images after it, at most.
        seed: of the simulation.
        windows: whether a window test has its share of the promise; its own alarms are not
            simulated, so a change may be seen sooner than said.

    Raises:
        InvalidSpecError: as when a ``DriftState`` begins.
    """
    every = round(thinning.every)
    # Of images that are not monitored only the number counts, so they are not drawn.
    drawn = Promise(promise.images / every)
    ahead, after = before // every, horizon // every
    kept = baseline.kept(thinning)
    delays = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        which = rng.integers(len(kept.scores), size=ahead + after)
        scores = kept.scores[which]
        scores[ahead:] = _changed(kept, scores[ahead:], change)
        inputs = None if kept.inputs is None else kept.inputs[which]
        state = DriftState(kept, drawn, Thinning(), seed=repeat)
        if windows:
            state.admit_windows()
        delays.append(_delay(state, scores, inputs, ahead))
    seen = sorted(delay * every for delay in delays if delay is not None)
    median = seen[(repeats - 1) // 2] if len(seen) > (repeats - 1) // 2 else None
    return Power(change, Share(len(seen), repeats), median, horizon)


def _changed(kept: Baseline, scores: np.ndarray, change: Change) -> np.ndarray:
    median, sd = np.median(kept.scores), np.std(kept.scores)
    moved: np.ndarray = median + change.spread * (scores - median) + change.shift * sd
    return moved


def _delay(
    state: DriftState, scores: np.ndarray, inputs: np.ndarray | None, ahead: int
) -> int | None:
    """Return how many images after the change the first alarm comes; None if it does not."""
    rows = [None] * len(scores) if inputs is None else inputs.tolist()
    for image, (score, row) in enumerate(zip(scores.tolist(), rows, strict=True)):
        if state.update(score, row):
            if image >= ahead:
                return image - ahead + 1
            state.acknowledge()
    return None
