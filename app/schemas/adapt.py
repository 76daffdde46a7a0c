"""How gates are to be adapted, and what came of it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from app.learning.adapt_options import DEFAULT_IMAGES, MOST_IMAGES, MOST_SEED
from app.learning.adapting import Outcome
from app.schemas.base import Body
from app.schemas.learning import RejectedImage
from detector.gate_report import Figures, Report
from detector.spec import DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE, MIN_IMAGE_SIZE


@dataclass
class AdaptQuery:
    """How gates are adapted, as query parameters."""

    size: Annotated[
        int,
        Query(
            ge=MIN_IMAGE_SIZE,
            le=MAX_IMAGE_SIZE,
            description="Side in pixels at which old and new gates are judged.",
        ),
    ] = DEFAULT_IMAGE_SIZE
    limit: Annotated[
        int,
        Query(ge=1, le=MOST_IMAGES, description="Most images to use; of more, so many are drawn."),
    ] = DEFAULT_IMAGES
    seed: Annotated[
        int, Query(ge=0, le=MOST_SEED, description="Of draws, training and planted defects.")
    ] = 0


class GateFigures(Body):
    """What gates are worth on held-out images against synthetic defects."""

    auroc: dict[str, float]
    """By judge."""
    pattern: float
    """How far defects move a gate, in standard deviations among normal images."""

    @classmethod
    def of(cls, figures: Figures) -> "GateFigures":
        """Return its form."""
        return cls(auroc=dict(figures.auroc), pattern=figures.pattern)


class AdaptReport(Body):
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

    @classmethod
    def of(cls, report: Report) -> "AdaptReport":
        """Return its form."""
        return cls(
            train_images=report.train_images,
            held_out_images=report.held_out_images,
            side_px=report.side_px,
            seed=report.seed,
            losses=report.losses,
            before=GateFigures.of(report.before),
            after=GateFigures.of(report.after),
            fingerprint_before=report.fingerprint_before,
            fingerprint_after=report.fingerprint_after,
        )


class AdaptedGates(Body):
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

    @classmethod
    def of(cls, outcome: Outcome, job_id: str, sha256: str | None) -> "AdaptedGates":
        """Return its form."""
        report = outcome.adapted.report
        return cls(
            kept=report.kept,
            reason=report.reason,
            gates=f"/v1/jobs/{job_id}/gates" if report.kept else None,
            sha256=sha256,
            report=AdaptReport.of(report),
            rejected=[RejectedImage.of(item) for item in outcome.rejected],
        )
