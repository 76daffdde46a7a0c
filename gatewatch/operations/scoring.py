"""Scores of images: of one, of many at once, by many detectors; and where and why they are odd.

Scoring is repeated when its answer is lost. The image may then be in the detector's history twice.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from gatewatch.answers import Comparison, Explanation, ImageResult, ManyScores, Scores
from gatewatch.bodies import Mask, many, one
from gatewatch.calls import Call, Request, answers, as_it_is, document
from gatewatch.errors.base import raised
from gatewatch.images import Image, Images
from gatewatch.operations.looking import looking
from gatewatch.reading import read


def score(
    name: str,
    image: Image,
    *,
    mask: Mask = None,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
    places: bool | None = None,
    timeout_s: float | None = None,
) -> Call[ImageResult]:
    """Score one image; one that cannot be scored raises its problem."""

    def only(content: bytes) -> ImageResult:
        (result,) = read(Scores, document(content)).results
        if result.problem is not None:
            raise raised(result.problem)
        return result

    return Call(
        "POST /v1/detectors/{name}/score",
        only,
        parts={"name": name},
        query={"version": version, "allow_stale": allow_stale, "group": group, "places": places},
        headers=within(timeout_s),
        body=one(image, mask),
        repeatable=True,
    )


def score_batch(
    name: str,
    images: Images,
    *,
    mask: Mask = None,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
    false_discovery_rate: float | None = None,
    places: bool | None = None,
    timeout_s: float | None = None,
) -> Request[Scores]:
    """Score images in one request; one that cannot be scored has its problem in its place."""
    call = Call(
        "POST /v1/detectors/{name}/score",
        answers(Scores),
        parts={"name": name},
        query={
            "version": version,
            "allow_stale": allow_stale,
            "group": group,
            "false_discovery_rate": false_discovery_rate,
            "places": places,
        },
        headers=within(timeout_s),
        repeatable=True,
    )
    return looking([name], [images], lambda look: replace(call, body=many(images, mask, look=look)))


def score_many(
    detectors: Sequence[str],
    images: Images,
    *,
    mask: Mask = None,
    allow_stale: bool = False,
    group: str = "",
    false_discovery_rate: float | None = None,
    places: bool | None = None,
    timeout_s: float | None = None,
) -> Request[ManyScores]:
    """Score images by several detectors, which are seen by the backbone once."""
    call = Call(
        "POST /v1/score",
        answers(ManyScores),
        query={
            "detectors": list(detectors),
            "allow_stale": allow_stale,
            "group": group,
            "false_discovery_rate": false_discovery_rate,
            "places": places,
        },
        headers=within(timeout_s),
        repeatable=True,
    )
    return looking(
        detectors, [images], lambda look: replace(call, body=many(images, mask, look=look))
    )


def explain(
    name: str,
    image: Image,
    *,
    mask: Mask = None,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
    timeout_s: float | None = None,
) -> Call[Explanation]:
    """Say of one image where it is odd, and which fitted images it is most like."""
    return Call(
        "POST /v1/detectors/{name}/explain",
        answers(Explanation),
        parts={"name": name},
        query={"version": version, "allow_stale": allow_stale, "group": group},
        headers=within(timeout_s),
        body=one(image, mask),
        repeatable=True,
    )


def map(
    name: str,
    image: Image,
    *,
    format: Literal["png", "npy"] = "png",
    mask: Mask = None,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
    timeout_s: float | None = None,
) -> Call[bytes]:
    """Return where an image is odd: a PNG with the map over the picture, or the map for NumPy."""
    return Call(
        "POST /v1/detectors/{name}/map",
        as_it_is,
        parts={"name": name},
        query={
            "format": format,
            "version": version,
            "allow_stale": allow_stale,
            "group": group,
        },
        headers=within(timeout_s),
        body=one(image, mask),
        repeatable=True,
    )


def divergence(
    name: str,
    images: Images,
    *,
    mask: Mask = None,
    version: int | None = None,
    allow_stale: bool = False,
    timeout_s: float | None = None,
) -> Request[Comparison]:
    """Say how far images as a whole are from what was fitted."""
    call = Call(
        "POST /v1/detectors/{name}/divergence",
        answers(Comparison),
        parts={"name": name},
        query={"version": version, "allow_stale": allow_stale},
        headers=within(timeout_s),
        repeatable=True,
    )
    return looking([name], [images], lambda look: replace(call, body=many(images, mask, look=look)))


def within(timeout_s: float | None) -> dict[str, Any]:
    """Return the header that has a request refused if it cannot be answered so soon."""
    return {} if timeout_s is None else {"x-request-timeout-ms": str(round(1000 * timeout_s))}
