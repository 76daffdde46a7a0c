"""A detector's versions: what each is, how it came about, and which images it knows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatewatch.answers.detectors import DetectorInfo
from gatewatch.answers.scores import ImageResult


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """An immutable version and its lineage."""

    version: int
    parent: int | None
    """The version that it was made from."""
    change: str
    parameters: dict[str, Any]
    who: str
    reason: str
    request_id: str
    created_at: datetime
    state: str
    stale: bool
    fitted_images: int
    calibration_images: int
    threshold: float | None


@dataclass(frozen=True, kw_only=True)
class VersionList:
    """All versions, oldest first."""

    versions: list[VersionInfo]


@dataclass(frozen=True, kw_only=True)
class VersionDetail:
    """One version: its lineage, and the detector as it was then."""

    lineage: VersionInfo
    detector: DetectorInfo


@dataclass(frozen=True, kw_only=True)
class FittedImage:
    """An image that a version was fitted to."""

    sha256: str
    """Of the file that was sent."""
    name: str
    group: str
    forgettable: bool
    """Whether its rows were kept, so that it can be forgotten alone."""


@dataclass(frozen=True, kw_only=True)
class FittedImages:
    """The images that a version was fitted to, in the order in which they came."""

    total: int
    images: list[FittedImage]


@dataclass(frozen=True, kw_only=True)
class VersionComparison:
    """Two versions on the same images."""

    detector: str
    first: int
    second: int
    images: int
    """That both could score."""
    agreed: int
    only_first: int
    """Flagged by the first alone."""
    only_second: int
    results: list[tuple[ImageResult, ImageResult]]
