"""What adapting gates has given: figures before and after, and whether the new ones are kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Figures:
    """AUROC by judge, and the gate pattern."""

    auroc: Mapping[str, float]
    pattern: float

    @property
    def criterion(self) -> float:
        """Mean AUROC."""
        return float(np.mean(list(self.auroc.values())))


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, what it gave, and whether it is kept."""

    kept: bool
    reason: str
    train_images: int
    held_out_images: int
    side_px: int
    seed: int
    losses: list[float]
    before: Figures
    after: Figures
    fingerprint_before: str
    fingerprint_after: str

    def as_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2)
