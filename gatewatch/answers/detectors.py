"""A detector as clients see it, and its threshold."""

from dataclasses import dataclass, field
from datetime import datetime

from gatewatch.answers.options import Options
from gatewatch.answers.thresholds import Threshold


@dataclass(frozen=True, kw_only=True)
class DetectorInfo:
    """A detector's state."""

    name: str
    version: int
    """What is shown: the version in service, unless another was asked for."""
    in_service: int
    tip: int
    """The version that the next change builds on."""
    shadow: int | None
    """The version that scores alongside, if one does."""
    state: str
    stale: bool
    """Whether images were fitted or forgotten since it was calibrated."""
    kind: str = "image"
    """What its samples are."""
    view: dict[str, bool | int | float | str] = field(default_factory=dict)
    """How samples are looked at, of another kind than images."""
    backbone: str
    backbone_fingerprint: str
    """Empty until a network that learns from the fitted samples has done so."""
    scorer: str
    descriptor: str
    image_size: int
    mask: str
    options: Options
    fitted_images: int
    calibration_images: int
    groups: int
    """Lots, sessions or cameras of the calibration images."""
    known_anomalies: int
    threshold: Threshold | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class DetectorList:
    """All detectors, by name."""

    detectors: list[DetectorInfo]
