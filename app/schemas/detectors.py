"""A detector as clients see it, and its threshold."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.schemas.base import Body
from app.schemas.new_detector import Options, View
from app.schemas.thresholds import Threshold
from app.storage.version_rows import Entry
from detector.kinds import DEFAULT_KIND


class DetectorInfo(Body):
    """A detector's state."""

    name: str
    version: int
    """What is shown: the version in service, unless another was asked for."""
    in_service: int
    tip: int
    """The version that the next change builds on."""
    shadow: int | None
    """The version that scores alongside, if one does."""
    state: Literal["created", "fitted", "calibrated"]
    stale: bool
    """Whether images were fitted or forgotten since it was calibrated."""
    kind: str = DEFAULT_KIND
    """What its samples are."""
    view: dict[str, View] = Field(default={})
    """How samples are looked at, of another kind than images."""
    backbone: str
    backbone_fingerprint: str
    """Empty until a network that learns from the fitted samples has done so."""
    scorer: str
    descriptor: str
    image_size: int
    mask: Literal["none", "fixed", "request"]
    options: Options
    fitted_images: int
    calibration_images: int
    groups: int
    """Lots, sessions or cameras of the calibration images."""
    known_anomalies: int
    threshold: Threshold | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, entry: Entry) -> "DetectorInfo":
        """Return what a detector shows at one of its versions."""
        summary = entry.version.summary
        spec = dict(summary["spec"])
        return cls(
            **{**spec, "options": Options.model_validate(spec["options"])},
            version=entry.version.version,
            in_service=entry.in_service,
            tip=entry.tip,
            shadow=entry.shadow,
            state=summary["state"],
            stale=summary["stale"],
            fitted_images=summary["fitted_images"],
            calibration_images=summary["calibration_images"],
            groups=summary["groups"],
            known_anomalies=summary["known_anomalies"],
            threshold=Threshold.of(entry.version.version, summary)
            if summary["threshold"]
            else None,
            created_at=entry.created_at,
            updated_at=entry.updated_at,
        )


class DetectorList(Body):
    """All detectors, by name."""

    detectors: list[DetectorInfo]
