"""A detector's versions: list, put in service, go back, compare, delete; the shadow."""

from dataclasses import replace

from gatewatch.answers import (
    DetectorInfo,
    FittedImage,
    FittedImages,
    ShadowInfo,
    VersionComparison,
    VersionDetail,
    VersionInfo,
    VersionList,
)
from gatewatch.bodies import Mask, many
from gatewatch.calls import Call, Listing, Request, answers, document, nothing
from gatewatch.images import Images
from gatewatch.operations.looking import looking
from gatewatch.operations.scoring import within
from gatewatch.reading import read

PAGE = 1000


def versions(name: str) -> Call[list[VersionInfo]]:
    """Return all versions with their lineage, oldest first."""
    return Call(
        "GET /v1/detectors/{name}/versions",
        lambda content: read(VersionList, document(content)).versions,
        parts={"name": name},
    )


def version(name: str, version: int) -> Call[VersionDetail]:
    """Return one version, and the detector as it was then."""
    return Call(
        "GET /v1/detectors/{name}/versions/{version}",
        answers(VersionDetail),
        parts={"name": name, "version": version},
    )


def fitted_images(name: str, version: int, *, limit: int | None = None) -> Listing[FittedImage]:
    """Go through the images that a version was fitted to."""

    def page(start: int | None) -> Call[tuple[int, FittedImages]]:
        begin = start or 0
        return Call(
            "GET /v1/detectors/{name}/versions/{version}/images",
            lambda content: (begin, read(FittedImages, document(content))),
            parts={"name": name, "version": version},
            query={"start": begin, "limit": PAGE},
        )

    def items(page: tuple[int, FittedImages]) -> tuple[list[FittedImage], int | None]:
        start, found = page
        end = start + len(found.images)
        return found.images, end if found.images and end < found.total else None

    return Listing(page, items, limit)


def promote(
    name: str,
    version: int,
    *,
    allow_stale: bool = False,
    allow_uncalibrated: bool = False,
    reason: str = "",
) -> Call[DetectorInfo]:
    """Put a version in service."""
    return Call(
        "POST /v1/detectors/{name}/versions/{version}/promote",
        answers(DetectorInfo),
        parts={"name": name, "version": version},
        query={
            "allow_stale": allow_stale,
            "allow_uncalibrated": allow_uncalibrated,
            "reason": reason,
        },
    )


def rollback(
    name: str, *, allow_uncalibrated: bool = False, reason: str = ""
) -> Call[DetectorInfo]:
    """Put the version in service that was before the one that is."""
    return Call(
        "POST /v1/detectors/{name}/rollback",
        answers(DetectorInfo),
        parts={"name": name},
        query={"allow_uncalibrated": allow_uncalibrated, "reason": reason},
    )


def delete_version(name: str, version: int, *, reason: str = "") -> Call[None]:
    """Delete a version that is not used and that no other was made from."""
    return Call(
        "DELETE /v1/detectors/{name}/versions/{version}",
        nothing,
        parts={"name": name, "version": version},
        query={"reason": reason},
    )


def compare(
    name: str,
    first: int,
    second: int,
    images: Images,
    *,
    mask: Mask = None,
    group: str = "",
    timeout_s: float | None = None,
) -> Request[VersionComparison]:
    """Judge images by two versions, side by side."""
    call = Call(
        "POST /v1/detectors/{name}/compare",
        answers(VersionComparison),
        parts={"name": name},
        query={"first": first, "second": second, "group": group},
        headers=within(timeout_s),
        repeatable=True,
    )
    return looking([name], [images], lambda look: replace(call, body=many(images, mask, look=look)))


def shadow(name: str) -> Call[ShadowInfo]:
    """Return the version that scores alongside, and how often it agreed."""
    return Call("GET /v1/detectors/{name}/shadow", answers(ShadowInfo), parts={"name": name})


def set_shadow(name: str, version: int, *, reason: str = "") -> Call[ShadowInfo]:
    """Let a version score alongside the one in service."""
    return Call(
        "PUT /v1/detectors/{name}/shadow",
        answers(ShadowInfo),
        parts={"name": name},
        query={"reason": reason},
        document={"version": version},
    )


def remove_shadow(name: str, *, reason: str = "") -> Call[None]:
    """Let no version score alongside."""
    return Call(
        "DELETE /v1/detectors/{name}/shadow",
        nothing,
        parts={"name": name},
        query={"reason": reason},
    )
