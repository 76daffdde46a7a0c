"""A detector as clients see it, and its threshold."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from app.schemas.base import Body, Rate
from app.schemas.new_detector import Options
from app.storage import Stored
from detector import detector as domain


class ConformalThreshold(Body):
    """A threshold by the share of normal images that may be flagged."""

    method: Literal["conformal"]
    target: Rate = Field(strict=True)
    """Highest false-alarm rate, as a fraction."""


class ManualThreshold(Body):
    """A threshold by value."""

    method: Literal["manual"]
    value: FiniteFloat = Field(strict=True)
    """The score above which an image is flagged."""


NewThreshold = Annotated[ConformalThreshold | ManualThreshold, Field(discriminator="method")]


class Threshold(Body):
    """Where the line is drawn, and what is promised about it."""

    value: float
    method: str
    target: float | None
    calibration_images: int
    statement: str

    @classmethod
    def of(cls, detector: domain.Detector) -> "Threshold":
        """Return a detector's threshold. Raises NotCalibratedError if it has none."""
        threshold = detector.require_threshold()
        return cls(
            value=threshold.value,
            method=threshold.method,
            target=threshold.target,
            calibration_images=detector.calibration_images,
            statement=threshold.statement,
        )


class DetectorInfo(Body):
    """A detector's state."""

    name: str
    version: int
    state: Literal["created", "fitted", "calibrated"]
    backbone: str
    backbone_fingerprint: str
    scorer: str
    descriptor: str
    image_size: int
    mask: Literal["none", "fixed", "request"]
    options: Options
    fitted_images: int
    calibration_images: int
    threshold: Threshold | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: Stored) -> "DetectorInfo":
        """Return what a stored detector shows."""
        detector = stored.detector
        return cls(
            name=detector.spec.name,
            version=detector.version,
            state=detector.state,
            backbone=detector.spec.backbone,
            backbone_fingerprint=detector.spec.backbone_fingerprint,
            scorer=detector.spec.scorer,
            descriptor=detector.spec.descriptor,
            image_size=detector.spec.image_size,
            mask=detector.spec.mask,
            options=Options.model_validate(asdict(detector.spec.options)),
            fitted_images=detector.fitted_images,
            calibration_images=detector.calibration_images,
            threshold=Threshold.of(detector) if detector.threshold else None,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


class DetectorList(Body):
    """All detectors, by name."""

    detectors: list[DetectorInfo]
