"""What drift monitoring costs per image, how often it alarms of nothing, how soon of a change.

Scores are made: gamma of shape 4 with no change, normal ones for delays. The last table is of
calibrations of 1,000 images each, at one false alarm per 10,000 images: with the whole promise for
streams, and with a share of it left to a window test. Delays depend on the draw of the calibration.

    python -m benchmarks.drift [--repeats 100] [--calibrations 9]
"""

import argparse
import time

import numpy as np
from tqdm import tqdm

from detector.drift.autocorrelation import Thinning
from detector.drift.baseline import Baseline
from detector.drift.power import Change, simulated
from detector.drift.promise import Promise
from detector.drift.state import DriftState

CHANGES = [Change(0.25), Change(0.5), Change(1.0), Change(spread=1.5), Change(spread=0.7)]


def begun(seed: int, promise: float, inputs: bool) -> DriftState:
    """Return a state calibrated with 1,000 images."""
    rng = np.random.default_rng(seed)
    scores = rng.gamma(4, size=1000)
    seen = rng.normal(size=(1000, 3)) if inputs else None
    baseline = Baseline(scores, float(np.quantile(scores, 0.99)), seen)
    return DriftState(baseline, Promise(promise), Thinning(), seed)


def cost_us(inputs: bool, images: int = 5000) -> float:
    """Return microseconds per image, in the fastest of 20 runs of as many images."""
    rng, state, fastest = np.random.default_rng(1), begun(0, 1e6, inputs), float("inf")
    for _ in range(20):
        scores = rng.gamma(4, size=images // 20).tolist()
        seen = rng.normal(size=(images // 20, 3)).tolist() if inputs else None
        start = time.perf_counter()
        state.update_all(scores, seen)
        fastest = min(fastest, (time.perf_counter() - start) / len(scores))
    return 1e6 * fastest


def false_alarms(promise: float, images: int, repeats: int) -> dict[str, float]:
    """Return alarms per N images of no change, by stream; each is acknowledged at once."""
    counts: dict[str, int] = {}
    for seed in tqdm(range(repeats), desc="no change"):
        state, rng = begun(seed, promise, inputs=True), np.random.default_rng(seed + 10_000)
        rows = rng.normal(size=(images, 3)).tolist()
        for score, row in zip(rng.gamma(4, size=images).tolist(), rows, strict=True):
            if state.update(score, row):
                state.acknowledge()
        counts = {name: counts.get(name, 0) + count for name, count in state.alarms.items()}
    return {name: count * promise / (images * repeats) for name, count in counts.items()}


def medians(promise: float, change: Change, calibrations: int, windows: bool) -> list[int]:
    """Return the median delay of a change with each calibration."""
    found = []
    for seed in range(calibrations):
        scores = np.random.default_rng(seed).normal(size=1000)
        baseline = Baseline(scores, float(np.quantile(scores, 0.99)))
        power = simulated(
            baseline,
            Promise(promise),
            Thinning(),
            change,
            repeats=25,
            before=1000,
            windows=windows,
        )
        found.append(power.median_images or power.horizon)
    return found


def delays(promise: float, calibrations: int) -> list[str]:
    """Return lines of a table: the median delay of each change, over calibrations."""
    lines = [
        "| change | streams alone: median delay, images | calibrations from .. to "
        "| with windows | from .. to |",
        "|---|---:|---:|---:|---:|",
    ]
    for change in tqdm(CHANGES, desc="delays"):
        cells = []
        for windows in (False, True):
            found = medians(promise, change, calibrations, windows)
            cells.append(f"{np.median(found):.0f} | {min(found)} .. {max(found)}")
        lines.append(f"| {change} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--calibrations", type=int, default=9)
    options = parser.parse_args()
    found = false_alarms(1000.0, 5000, options.repeats)
    print(f"cost: {cost_us(False):.0f} us an image, {cost_us(True):.0f} us with inputs")
    print(f"false alarms per promised one: {sum(found.values()):.2f}, by stream {found}")
    print("\n".join(delays(10_000.0, options.calibrations)))


if __name__ == "__main__":
    main()
