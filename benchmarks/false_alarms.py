"""The false alarms that an in-sample figure hides: docs/thresholds.md's measurement on ball screws.

    python -m benchmarks.false_alarms SHARED_DATA --out OUT [--target 0.05]

The default detector at 256 px is fitted to a random half of the good training pictures of bsdata
and calibrated on the other half. Days and positions on the screw are the groups. Each is left out
of the calibration alone, and of the fit as well, its statistics subtracted. The good test pictures
show positions that nothing was fitted to or calibrated on: they say what came true.
The methods are compared on 1,000 random splits of the calibration half, 200 scores to choose on.
Writes OUT/false_alarms.md and OUT/false_alarms.png.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from detector import operating_points
from detector.calibration import Calibration, share_above
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.groups import GroupReport, leave_one_group_out
from detector.spec import DEFAULT_IMAGE_SIZE, Spec
from detector.thresholds import choose

SPLITS, CHOSEN_ON = 1000, 200
METHODS: list[tuple[str, dict[str, float]]] = [
    ("conformal", {"target": 0.05}),
    ("conformal", {"target": 0.05, "delta": 0.1}),
    ("quantile", {"target": 0.05}),
    ("chi2", {"target": 0.05}),
    ("evt", {"target": 0.05}),
    ("conformal", {"target": 0.01}),
    ("quantile", {"target": 0.01}),
    ("chi2", {"target": 0.01}),
    ("evt", {"target": 0.01}),
    ("ksigma", {"k": 3}),
]
GROUPINGS: dict[str, Callable[[Path], str]] = {
    "position": lambda path: path.name.split("_")[3],
    "day": lambda path: path.name.split("_")[1][:6],
}


@dataclass(frozen=True)
class Pictures:
    """Files and what the network saw in them."""

    files: Sequence[Path]
    embedding: Embedding

    @classmethod
    def of(cls, folder: Path, embedder: Embedder, side_px: int) -> "Pictures":
        """Embed a folder."""
        files = sorted(folder.iterdir())
        step, parts = embedder.best_batch, []
        for first in tqdm(range(0, len(files), step), desc=str(folder), unit="batch"):
            batch = [np.array(Image.open(file).convert("RGB")) for file in files[first:][:step]]
            parts.append(embedder.embed([embedder.prepare(image, side_px) for image in batch]))
        return cls(files, Embedding.concatenate(parts))

    def __getitem__(self, which: np.ndarray) -> "Pictures":
        embedding = Embedding.concatenate([self.embedding.image(int(index)) for index in which])
        return Pictures([self.files[index] for index in which], embedding)

    def groups(self, grouping: str) -> np.ndarray:
        """Return the group of every picture."""
        return np.array([GROUPINGS[grouping](file) for file in self.files])


def reports(
    detector: Detector, fitted: Pictures, held_out: Pictures, grouping: str, target: float
) -> tuple[GroupReport, GroupReport]:
    """Return the reports with each group left out of the calibration, and of the fit as well."""
    groups = held_out.groups(grouping)
    calibration = Calibration(detector.scores(held_out.embedding), tuple(groups))
    refitted = {}
    for group in tqdm(calibration.names, desc=grouping):
        of_group = fitted[np.flatnonzero(fitted.groups(grouping) == group)]
        never = detector.forget(detector.statistics_of(of_group.embedding))
        scores = never.scores(held_out.embedding)
        refitted[group] = scores[groups == group], scores[groups != group]
    return (
        leave_one_group_out(calibration, target),
        leave_one_group_out(calibration, target, refitted),
    )


def group_table(plain: GroupReport, refitted: GroupReport, grouping: str) -> str:
    """Return a Markdown table: a line per group and one for all of them."""
    lines = [
        f"| {grouping} left out | in-sample | left out of the calibration | and of the fit |",
        "|---|---:|---:|---:|",
    ]
    for one, other in zip(plain.groups, refitted.groups, strict=True):
        lines.append(f"| {one.group} | {one.in_sample} | {one.held_out} | {other.held_out} |")
    pooled = [f"{share} = {100 * share.rate:.1f} %" for share in (plain.in_sample, plain.held_out)]
    pooled.append(f"{refitted.held_out} = {100 * refitted.held_out.rate:.1f} %")
    lines.append(f"| **all** | {' | '.join(pooled)} |")
    low, high = ([100 * end for end in report.interval] for report in (plain, refitted))
    spans = [f"{start:.1f} to {end:.1f} %" for start, end in (low, high)]
    lines.append(f"| 95 % interval | | {' | '.join(spans)} |")
    for name, report in (("calibration", plain), ("calibration and fit", refitted)):
        lines.append(f"\nWarning, left out of {name}: {report.warning or 'none'}\n")
    return "\n".join(lines)


def method_table(scores: np.ndarray) -> str:
    """Return what methods flag of the scores they were not chosen on, over random splits."""
    rng = np.random.default_rng(0)
    splits = [rng.permutation(scores) for _ in range(SPLITS)]
    lines = [
        "| method | asked | flagged of new images, mean | in 1 split of 10 at least |",
        "|---|---|---:|---:|",
    ]
    for method, parameters in METHODS:
        rates = []
        for split in splits:
            chosen = choose(method, Calibration(split[:CHOSEN_ON]), parameters)
            rates.append(share_above(split[CHOSEN_ON:], chosen.value).rate)
        asked = ", ".join(f"{name} {value:g}" for name, value in parameters.items())
        mean, high = 100 * np.mean(rates), 100 * np.quantile(rates, 0.9)
        lines.append(f"| {method} | {asked} | {mean:.1f} % | {high:.1f} % |")
    return "\n".join(lines) + "\n"


def point_table(calibration: Calibration) -> str:
    """Return the operating points as a Markdown table."""
    lines = [
        "| target | line | false alarms per 1,000 | in-sample | pitting found, 95 % interval |",
        "|---:|---:|---:|---:|---:|",
    ]
    for point in operating_points.table(calibration):
        if point.false_alarms_per_1000 is None or point.detections is None:
            lines.append(f"| {point.target:g} | needs {point.images_needed} images | | | |")
            continue
        low, high = point.detections.interval
        lines.append(
            f"| {point.target:g} | {point.threshold:.3f} | {point.false_alarms_per_1000:.1f} "
            f"| {point.in_sample} | {point.detections} ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines)


def figure(found: dict[str, tuple[GroupReport, GroupReport]], target: float, path: Path) -> None:
    """Draw false-alarm rates by group."""
    ratios = [len(plain.groups) for plain, _ in found.values()]
    canvas, axes = plt.subplots(1, len(found), figsize=(8, 2.6), sharey=True, width_ratios=ratios)
    for axis, (grouping, (plain, refitted)) in zip(axes, found.items(), strict=True):
        places = np.arange(len(plain.groups))
        bars = (
            ("in-sample", [group.in_sample for group in plain.groups], "#bbbbbb"),
            ("left out of the calibration", [group.held_out for group in plain.groups], "#6699cc"),
            ("left out of the fit, too", [group.held_out for group in refitted.groups], "#bb4444"),
        )
        for shift, (label, shares, colour) in zip((-0.27, 0, 0.27), bars, strict=True):
            rates = [100 * share.rate for share in shares]
            axis.bar(places + shift, rates, 0.27, label=label, color=colour)
        axis.axhline(100 * target, color="black", linewidth=0.8, linestyle="--")
        axis.set_xticks(places, [group.group for group in plain.groups], rotation=60, fontsize=7)
        axis.set_xlabel(f"{grouping} left out")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("false alarms, %")
    axes[-1].legend(frameon=False, fontsize=7)
    canvas.tight_layout()
    canvas.savefig(path, dpi=110)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_alarms", description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--target", type=float, default=0.05)
    options = parser.parse_args()
    threadpool_limits(1, user_api="blas")
    embedder = Embedder.load(device="cpu", threads=2)
    good, new, pitting = (
        Pictures.of(options.shared / "bsdata" / folder, embedder, DEFAULT_IMAGE_SIZE)
        for folder in ("train/good", "test/good", "test/pitting")
    )
    order = np.random.default_rng(0).permutation(len(good.files))
    fitted, held_out = (good[np.sort(half)] for half in np.array_split(order, 2))
    empty = Detector(Spec("screws", embedder.name, embedder.fingerprint))
    detector = empty.learn(empty.statistics_of(fitted.embedding), extend=False)
    calibration = Calibration(
        detector.scores(held_out.embedding), anomalies=detector.scores(pitting.embedding)
    )
    line = operating_points.table(calibration, [options.target])[0].threshold
    if line is None:
        parser.error(f"{len(calibration)} images cannot support {options.target:g}")
    found = {
        grouping: reports(detector, fitted, held_out, grouping, options.target)
        for grouping in GROUPINGS
    }
    came_true = share_above(detector.scores(new.embedding), line)
    low, high = came_true.interval
    options.out.mkdir(parents=True, exist_ok=True)
    figure(found, options.target, options.out / "false_alarms.png")
    text = [
        f"{len(fitted.files)} fitted, {len(held_out.files)} calibration images, target "
        f"{options.target:g}\n",
        *(group_table(*both, grouping) for grouping, both in found.items()),
        f"Good pictures of new positions above the line: {came_true} = "
        f"{100 * came_true.rate:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)\n",
        method_table(calibration.scores),
        point_table(calibration),
    ]
    (options.out / "false_alarms.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))


if __name__ == "__main__":
    main()
