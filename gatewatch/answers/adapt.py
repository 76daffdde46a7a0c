"""What came of adapting gates."""

from dataclasses import dataclass

from gatewatch.answers.learning import RejectedImage


@dataclass(frozen=True, kw_only=True)
class GateFigures:
    """What gates are worth on held-out images against synthetic defects."""

    auroc: dict[str, float]
    """By judge."""
    pattern: float
    """How far defects move a gate, in standard deviations among normal images."""


@dataclass(frozen=True, kw_only=True)
class AdaptReport:
    """What was done, and the figures that decide; docs/adapt.md says what they mean."""

    train_images: int
    held_out_images: int
    side_px: int
    seed: int
    losses: list[float]
    """Before training and after every round; the best round's gates are those that are judged."""
    before: GateFigures
    after: GateFigures
    fingerprint_before: str
    fingerprint_after: str
    """That the backbone would have with the new gates."""


@dataclass(frozen=True, kw_only=True)
class AdaptedGates:
    """What an adaptation did; nothing in service was changed."""

    kept: bool
    """Whether the new gates help, and were kept."""
    reason: str
    gates: str | None
    """Path of the new gates' file, as long as the job is known; None if they were not kept."""
    sha256: str | None
    """Of that file."""
    report: AdaptReport
    rejected: list[RejectedImage]
