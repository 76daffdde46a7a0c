"""The figures of a benchmark, one row per set, configuration and seed, as JSON and CSV."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration on one set with one seed.

    ``fit_seconds`` and ``ms_per_image`` are wall-clock and contain reading, decoding and the pass
    of the network, which configurations on one backbone share; ``ms_per_image`` is 1 / throughput
    in batches, not a latency. ``peak_rss_bytes`` is the peak of the process so far, so that it
    never falls from row to row: rows stand in the order in which they were measured.
    ``auroc_low`` and ``auroc_high`` are DeLong's 95 % interval over the draw of the test images.
    """

    set: str
    backbone: str
    descriptor: str
    scorer: str
    options: str
    default: bool
    seed: int
    size: int
    train_images: int
    test_images: int
    auroc: float
    auroc_low: float | None
    auroc_high: float | None
    pixel_auroc: float | None
    pro: float | None
    fit_seconds: float
    ms_per_image: float
    detector_bytes: int
    peak_rss_bytes: int


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a list of objects."""
    text = json.dumps([asdict(row) for row in rows], indent=2, allow_nan=False)
    path.write_text(text + "\n")


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write the rows under a line of their names; what does not exist is empty."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
