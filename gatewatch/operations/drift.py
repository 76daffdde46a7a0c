"""Whether the traffic has changed, what a person says to it, and who is told."""

from datetime import datetime
from typing import Any

from gatewatch.answers import (
    DriftInfo,
    DriftReplayInfo,
    JobInfo,
    NoticeInfo,
    NoticePage,
    PowerInfo,
    TrialReport,
)
from gatewatch.calls import Call, Listing, Submission, answers, idempotent

PAGE = 1000


def drift(name: str) -> Call[DriftInfo]:
    """Tell whether the traffic has changed, and how sure that is."""
    return Call("GET /v1/detectors/{name}/drift", answers(DriftInfo), parts={"name": name})


def acknowledge(name: str, *, monitor: str | None = None, reason: str = "") -> Call[DriftInfo]:
    """Say that alarms were seen, of one monitor or of all: evidence begins anew."""
    return Call(
        "POST /v1/detectors/{name}/drift/acknowledge",
        answers(DriftInfo),
        parts={"name": name},
        query={"reason": reason},
        document={} if monitor is None else {"monitor": monitor},
    )


def rebaseline(name: str, *, images: int | None = None, reason: str = "") -> Call[DriftInfo]:
    """Take the last images for normal: the traffic is compared with them."""
    return Call(
        "POST /v1/detectors/{name}/drift/rebaseline",
        answers(DriftInfo),
        parts={"name": name},
        query={"reason": reason},
        document={} if images is None else {"images": images},
    )


def replay_drift(
    name: str,
    *,
    version: int | None = None,
    promise_images: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> Submission[DriftReplayInfo]:
    """Tell which alarms of drift there would have been over what was scored."""
    body: dict[str, Any] = {
        "version": version,
        "promise_images": promise_images,
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
    }
    call = Call(
        "POST /v1/detectors/{name}/drift/replay",
        answers(JobInfo),
        parts={"name": name},
        query={"reason": reason},
        headers=idempotent(),
        document={key: value for key, value in body.items() if value is not None},
    )
    return Submission(call, DriftReplayInfo)


def power(
    name: str,
    *,
    version: int | None = None,
    promise_images: int | None = None,
    shift: float | None = None,
    spread: float | None = None,
) -> Call[PowerInfo]:
    """Say after how many images changes of the traffic would be noticed."""
    return Call(
        "GET /v1/detectors/{name}/drift/power",
        answers(PowerInfo),
        parts={"name": name},
        query={
            "version": version,
            "promise_images": promise_images,
            "shift": shift,
            "spread": spread,
        },
    )


def notices(*, detector: str | None = None, limit: int | None = None) -> Listing[NoticeInfo]:
    """Go through what was told of alarms, newest first, and what became of it."""

    def page(before: int | None) -> Call[NoticePage]:
        query = {"detector": detector, "limit": PAGE, "before": before}
        return Call("GET /v1/notices", answers(NoticePage), query=query)

    return Listing(page, lambda page: (page.notices, page.next), limit)


def send_test_notice() -> Call[TrialReport]:
    """Send a test notice to every sink; the answer says where it arrived."""
    return Call("POST /v1/notices/test", answers(TrialReport))
