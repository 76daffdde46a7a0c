"""What a window test costs, whether its p-values are uniform, and which changes it sees.

Rows are made: 120 correlated channels, exponentials of them with heavy tails (t of 6 degrees of
freedom), 400 calibration images, windows of 64. Scores are the root mean squares of the channels,
standardised with what was fitted.

    python -m benchmarks.drift_windows [--repeats 200]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from detector.divergence import MAX_DIRECTIONS, ROWS_PER_DIRECTION
from detector.drift.window_p_value import PValue, p_value
from detector.drift.window_space import Axes
from detector.drift.window_statistics import STATISTICS, Pool

CHANNELS, FITTED, CALIBRATION, WINDOW = 120, 500, 400, 64

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class World:
    """Images of one normal state.

    Attributes:
        mixing: how channels hang together, (c, c).
    """

    mixing: np.ndarray

    @classmethod
    def of(cls, seed: int, channels: int = CHANNELS) -> "World":
        """Return a world whose channels share a few causes."""
        rng = np.random.default_rng(seed)
        decay = 1 / np.sqrt(1 + np.arange(channels))
        return cls(rng.normal(size=(channels, channels)) * decay[:, None] / 3)

    def rows(
        self, rng: np.random.Generator, count: int, change: Change | None = None
    ) -> np.ndarray:
        """Return skewed rows with heavy tails; a change acts on what is behind them."""
        hidden = rng.normal(size=(count, len(self.mixing)))
        hidden = hidden if change is None else change(hidden)
        tails = np.sqrt(6 / rng.chisquare(6, size=(count, 1)))
        found: np.ndarray = np.exp(np.clip(hidden @ self.mixing * tails / 2, -6, 6))
        return found


def result_of(
    world: World,
    rng: np.random.Generator,
    change: Change | None = None,
    *,
    level: float = 0.05,
    sizes: tuple[int, int, int] = (FITTED, CALIBRATION, WINDOW),
) -> PValue:
    """Return what the test says of a window, everything drawn anew."""
    fitted, calibration = (world.rows(rng, count) for count in sizes[:2])
    window = world.rows(rng, sizes[2], change)
    axes = Axes.of(fitted)
    k = min(MAX_DIRECTIONS, sizes[2] // ROWS_PER_DIRECTION, sizes[1] // ROWS_PER_DIRECTION)
    both = np.vstack([calibration, window])
    channels = axes.standardised(both)
    scores = np.sqrt(np.mean(channels**2, axis=1))
    return p_value(Pool(axes.project(both, k), channels, scores, sizes[2]), level, rng)


def shifted(by: float, causes: int = 4) -> Change:
    """Return a shift of the leading causes, in standard deviations."""
    return lambda hidden: hidden + by * (np.arange(hidden.shape[1]) < causes)


def spread(times: float) -> Change:
    """Return a stretch of all causes."""
    return lambda hidden: hidden * times


CHANGES: dict[str, Change | None] = {
    "none": None,
    "4 causes shifted by 0.25 sd": shifted(0.25),
    "4 causes shifted by 0.5 sd": shifted(0.5),
    "spread x1.1": spread(1.1),
    "spread x1.25": spread(1.25),
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_windows", description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    with threadpool_limits(1, user_api="blas"):
        world, rng = World.of(0), np.random.default_rng(0)
        print(f"| change | p <= 0.05 | p <= 0.01 | {' | '.join(STATISTICS)} |")
        print("|---|" + "---:|" * (2 + len(STATISTICS)))
        for name, change in CHANGES.items():
            found = [result_of(world, rng, change) for _ in tqdm(range(repeats), desc=name)]
            p = np.array([[each.p, *each.each.values()] for each in found])
            below = " | ".join(f"{share:.3f}" for share in np.mean(p[:, 1:] <= 0.05, axis=0))
            print(
                f"| {name} | {np.mean(p[:, 0] <= 0.05):.3f} | {np.mean(p[:, 0] <= 0.01):.3f} "
                f"| {below} |"
            )
        for level in (0.01, 1e-3, 1e-4):
            start = time.process_time()
            result = result_of(world, rng, spread(2), level=level)
            print(f"drifted, level {level:g}: {time.process_time() - start:.2f} s, {result}")


if __name__ == "__main__":
    main()
