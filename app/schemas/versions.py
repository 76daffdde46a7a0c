"""A detector's versions: what each is, how it came about, and which images it knows."""

from datetime import datetime
from typing import Any

from app.results import Duel
from app.schemas.base import Body
from app.schemas.detectors import DetectorInfo
from app.schemas.scores import ImageResult
from app.storage.lineage import Image
from app.storage.version_rows import Change, Entry, Version


class VersionInfo(Body):
    """An immutable version and its lineage."""

    version: int
    parent: int | None
    """The version that it was made from."""
    change: Change
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

    @classmethod
    def of(cls, version: Version) -> "VersionInfo":
        """Return its form."""
        summary = version.summary
        return cls(
            version=version.version,
            parent=version.parent,
            change=version.change,
            parameters=dict(version.parameters),
            who=version.who,
            reason=version.reason,
            request_id=version.request_id,
            created_at=version.created_at,
            state=summary["state"],
            stale=summary["stale"],
            fitted_images=summary["fitted_images"],
            calibration_images=summary["calibration_images"],
            threshold=summary["threshold"] and summary["threshold"]["value"],
        )


class VersionList(Body):
    """All versions, oldest first."""

    versions: list[VersionInfo]

    @classmethod
    def of(cls, versions: list[Version]) -> "VersionList":
        """Return their form."""
        return cls(versions=[VersionInfo.of(version) for version in versions])


class VersionDetail(Body):
    """One version: its lineage, and the detector as it was then."""

    lineage: VersionInfo
    detector: DetectorInfo

    @classmethod
    def of(cls, entry: Entry) -> "VersionDetail":
        """Return its form."""
        return cls(lineage=VersionInfo.of(entry.version), detector=DetectorInfo.of(entry))


class FittedImage(Body):
    """An image that a version was fitted to."""

    sha256: str
    """Of the file that was sent."""
    name: str
    group: str
    forgettable: bool
    """Whether its rows were kept, so that it can be forgotten alone."""


class FittedImages(Body):
    """The images that a version was fitted to, in the order in which they came."""

    total: int
    images: list[FittedImage]

    @classmethod
    def of(cls, images: list[Image], start: int, limit: int) -> "FittedImages":
        """Return a page of them."""
        return cls(
            total=len(images),
            images=[
                FittedImage(
                    sha256=image.sha256,
                    name=image.name,
                    group=image.group,
                    forgettable=bool(image.rows_blob),
                )
                for image in images[start : start + limit]
            ],
        )


class VersionComparison(Body):
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

    @classmethod
    def of(cls, duel: Duel) -> "VersionComparison":
        """Return its form."""
        pairs = [
            (ImageResult.of(index, one), ImageResult.of(index, other))
            for index, (one, other) in enumerate(duel.pairs)
        ]
        both = [pair for pair in pairs if pair[0].problem is None and pair[1].problem is None]
        flags = [(bool(one.flagged), bool(other.flagged)) for one, other in both]
        return cls(
            detector=duel.detector,
            first=duel.first,
            second=duel.second,
            images=len(both),
            agreed=sum(one == other for one, other in flags),
            only_first=flags.count((True, False)),
            only_second=flags.count((False, True)),
            results=pairs,
        )
