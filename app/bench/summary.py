"""The report in Markdown: configurations by sets, means, and what they cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t

from app.bench.results import Row
from app.bench.run import Failure

Key = tuple[str, str, str, str]
_NOTES = """\
- AUROC: image level, higher is better, 0.5 is chance. In brackets: DeLong's 95 % interval over the
  draw of the test images with one seed; with several seeds, mean and 95 % t-interval over seeds.
- *mean*: over the sets, each class of a folder of classes being one. *worst mean*: the smallest
  mean when any one set is left out.
- Pixel AUROC: all pixels of images that are good or have a mask, counted in up to 10,000 quantile
  bins. PRO: per-region overlap up to a false-positive rate of 0.3.
- Fit and ms per image are wall-clock and contain reading, decoding and the network's pass, which
  configurations on one backbone share; ms per image is that of batches, not a latency.
- Size: of the detector's file; for anomalib, of the learned tensors, without the network.
- Peak memory: of the whole process up to then; it never falls from one row to the next.
"""
_PEER_NOTES = """\
- anomalib runs on the ungated trunk with the same weights, splits, image size and pixels, and keeps
  its defaults but for: layers of the ResNets' strides; anomalib-patchcore a coreset of 1 % of the
  patches (its default of 10 % is ten times the work); anomalib-padim 100 features, its figure
  for ResNet-18.
"""


class Table:
    """The rows by configuration and set; order as measured."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.sets = list(dict.fromkeys(row.set for row in rows))
        self.rows: dict[Key, dict[str, list[Row]]] = {}
        for row in rows:
            key = (row.backbone, row.descriptor, row.scorer, row.options)
            self.rows.setdefault(key, {}).setdefault(row.set, []).append(row)

    def means(self, key: Key) -> tuple[float, float] | None:
        """Return mean AUROC over the sets and the worst mean with one set left out, if any.

        None where the configuration lacks a set.
        """
        by_set = self.rows[key]
        if len(by_set) < len(self.sets):
            return None
        values = np.array([np.mean([row.auroc for row in by_set[name]]) for name in self.sets])
        if len(values) == 1:
            return float(values[0]), float(values[0])
        left_out = (values.sum() - values) / (len(values) - 1)
        return float(values.mean()), float(left_out.min())


def interval(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Return the 95 % interval of one configuration on one set: over images, or over seeds."""
    if len(rows) == 1:
        low, high = rows[0].auroc_low, rows[0].auroc_high
        return None if low is None or high is None else (low, high)
    values = np.array([row.auroc for row in rows])
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def name(key: Key, rows: Mapping[str, Sequence[Row]]) -> str:
    """Return a configuration's name; the default is bold."""
    backbone, descriptor, scorer, options = key
    text = scorer if descriptor == "-" else f"{descriptor}/{scorer}"
    text = f"{text}:{options}" if options else text
    bold = any(row.default for some in rows.values() for row in some)
    return f"**{text}** ({backbone}, default)" if bold else f"{text} ({backbone})"


def write(
    rows: Sequence[Row], failures: Sequence[Failure], rejected: Mapping[Path, str], path: Path
) -> None:
    """Write the report."""
    table = Table(rows)
    parts = ["# Benchmark", _conditions(rows), "## Image AUROC", _auroc(table)]
    if any(row.pixel_auroc is not None for row in rows):
        parts += ["## Pixel AUROC / PRO", _pixels(table)]
    compared = any(row.descriptor == "-" for row in rows)
    parts += ["## Cost", _cost(table), "## Notes", _NOTES + _PEER_NOTES * compared]
    left_out = [f"- {where}: {why}" for where, why in rejected.items()]
    left_out += [
        f"- {item.configuration.label} on {item.image_set}: {item.reason}" for item in failures
    ]
    if left_out:
        parts += ["## Left out", "\n".join(left_out)]
    path.write_text("\n\n".join(part.strip() for part in parts) + "\n")


def _conditions(rows: Sequence[Row]) -> str:
    seeds = ", ".join(str(seed) for seed in sorted({row.seed for row in rows}))
    counts = {row.set: (row.train_images, row.test_images) for row in rows}
    lines = [f"- {one}: {fit} images fitted, {test} scored" for one, (fit, test) in counts.items()]
    return f"Image size {rows[0].size} px, seed {seeds}.\n\n" + "\n".join(lines)


def _auroc(table: Table) -> str:
    body = []
    for key, by_set in table.rows.items():
        cells = [_cell(by_set.get(one, [])) for one in table.sets]
        means = table.means(key)
        cells += [f"{value:.4f}" for value in means] if means else ["-", "-"]
        body.append([name(key, by_set), *cells])
    return _markdown(["configuration", *table.sets, "mean", "worst mean"], body)


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    mean = np.mean([row.auroc for row in rows])
    bounds = interval(rows)
    return f"{mean:.4f} [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else f"{mean:.4f}"


def _pixels(table: Table) -> str:
    def cell(rows: Sequence[Row]) -> str:
        pairs = [(r.pixel_auroc, r.pro) for r in rows if r.pixel_auroc is not None]
        if not pairs:
            return "-"
        return " / ".join(f"{value:.4f}" for value in np.mean(np.array(pairs, float), axis=0))

    body = [
        [name(key, by_set), *(cell(by_set.get(one, [])) for one in table.sets)]
        for key, by_set in table.rows.items()
    ]
    return _markdown(["configuration", *table.sets], body)


def _cost(table: Table) -> str:
    body = []
    for key, by_set in table.rows.items():
        rows = [row for some in by_set.values() for row in some]
        body.append(
            [
                name(key, by_set),
                f"{np.mean([row.fit_seconds for row in rows]):.1f}",
                f"{np.mean([row.ms_per_image for row in rows]):.1f}",
                f"{max(row.detector_bytes for row in rows) / 1e6:.2f}",
                f"{max(row.peak_rss_bytes for row in rows) / 1e6:.0f}",
            ]
        )
    heading = ["configuration", "fit, s", "ms per image", "size, MB", "peak memory, MB"]
    return _markdown(heading, body)


def _markdown(heading: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *body))
