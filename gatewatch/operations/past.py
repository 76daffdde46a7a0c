"""What was scored: history, replay, reviews, and what is proposed because of them."""

from datetime import datetime
from typing import Any, Literal

from gatewatch.answers import (
    HistoryPage,
    ImageInfo,
    JobInfo,
    ProposalList,
    ReplayInfo,
    ReviewInfo,
    ReviewPage,
    ScoredInfo,
    Traffic,
    VersionDetail,
)
from gatewatch.calls import Call, Listing, Submission, answers, idempotent
from gatewatch.lines import Line, as_document

PAGE = 1000
Word = Literal["confirmed", "false_alarm", "passed", "missed"]


def history(
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    verdict: str | None = None,
    limit: int | None = None,
) -> Listing[ScoredInfo]:
    """Go through the images that were scored, newest first."""
    asked = {"since": since, "until": until, "verdict": verdict, "limit": PAGE}

    def page(cursor: str | None) -> Call[HistoryPage]:
        return Call(
            "GET /v1/detectors/{name}/history",
            answers(HistoryPage),
            parts={"name": name},
            query=asked | {"cursor": cursor},
        )

    return Listing(page, lambda page: (page.images, page.next), limit)


def traffic(*, hours: int | None = None) -> Call[Traffic]:
    """Count what each detector has scored in the last hours, 24 unless told; say how it stands."""
    return Call("GET /v1/traffic", answers(Traffic), query={"hours": hours})


def image(id: str) -> Call[ImageInfo]:
    """Return what was said of an image, and what people have said of that."""
    return Call("GET /v1/images/{id}", answers(ImageInfo), parts={"id": id})


def replay(
    name: str,
    *,
    version: int | None = None,
    scorer: str | None = None,
    threshold: Line | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> Submission[ReplayInfo]:
    """Judge the past again by another version, scorer or threshold; nothing is changed."""
    body: dict[str, Any] = {
        "version": version,
        "scorer": scorer,
        "threshold": None if threshold is None else as_document(threshold),
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
    }
    call = Call(
        "POST /v1/detectors/{name}/replay",
        answers(JobInfo),
        parts={"name": name},
        query={"reason": reason},
        headers=idempotent(),
        document={key: value for key, value in body.items() if value is not None},
    )
    return Submission(call, ReplayInfo)


def review(image: str, word: Word, *, note: str = "", reason: str = "") -> Call[ReviewInfo]:
    """Say of an image, by its id, whether the verdict was right."""
    return Call(
        "POST /v1/reviews",
        answers(ReviewInfo),
        query={"reason": reason},
        document={"image": image, "word": word, "note": note},
    )


def reviews(*, detector: str | None = None, limit: int | None = None) -> Listing[ReviewInfo]:
    """Go through all reviews, newest first."""

    def page(cursor: str | None) -> Call[ReviewPage]:
        query = {"detector": detector, "limit": PAGE, "cursor": cursor}
        return Call("GET /v1/reviews", answers(ReviewPage), query=query)

    return Listing(page, lambda page: (page.reviews, page.next), limit)


def proposals(name: str, *, target: float | None = None) -> Call[ProposalList]:
    """Return what may be done about a detector because of its reviews, and what that changes."""
    return Call(
        "GET /v1/detectors/{name}/proposals",
        answers(ProposalList),
        parts={"name": name},
        query={"target": target},
    )


def apply_proposal(
    name: str,
    kind: Literal["threshold", "images"],
    *,
    rule: Literal["conformal", "between"] | None = None,
    target: float | None = None,
    reason: str = "",
) -> Call[VersionDetail]:
    """Do what was proposed; it makes a new version."""
    return Call(
        "POST /v1/detectors/{name}/proposals/{kind}/apply",
        answers(VersionDetail),
        parts={"name": name, "kind": kind},
        query={"rule": rule, "target": target, "reason": reason},
    )
