"""The door over HTTP: refused before the body is read, and every place given back."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import problem
from starlette.types import Message, Receive, Scope, Send

from app.admit import TICKET, Admit, Doorkeeper, arrived
from app.deadlines import TIMEOUT
from app.errors import OverloadedError
from app.middleware import Observe
from app.scoring.admission import Admission
from app.telemetry import Telemetry

PATH = re.compile("^/score$")


def door() -> Admission:
    return Admission(Telemetry(), images=4, total_bytes=100, seconds=1.0, enough=2)


def behind(route: Any, admission: Admission, telemetry: Telemetry | None = None) -> Admit:
    return Admit(route, Doorkeeper(admission, {PATH: "/{what}"}, 100, telemetry or Telemetry()))


def ask(
    admission: Admission,
    chunks: list[bytes],
    *,
    announce: bool = True,
    headers: dict[str, str] | None = None,
) -> tuple[list[Message], list[int]]:
    """Send a body to a route that reads it; return the answer, and what was held at every chunk."""
    sent: list[Message] = []
    held: list[int] = []
    left = iter(chunks)

    async def receive() -> Message:
        chunk = next(left, None)
        if chunk is None:  # all was sent, and the client waits
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk, "more_body": chunk is not chunks[-1]}

    async def send(message: Message) -> None:
        sent.append(message)

    async def route(scope: Scope, receive: Receive, _send: Send) -> None:
        for _ in chunks:
            await receive()
            held.append(admission.bytes)
        arrived(scope, 2)
        held.append(admission.images)

    sizes = {"content-length": str(sum(map(len, chunks)))} if announce else {}
    scope = scope_of(sizes | (headers or {}))
    asyncio.run(behind(route, admission)(scope, receive, send))
    return sent, held


def scope_of(headers: dict[str, str]) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/score",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }


def test_a_body_is_held_as_it_comes() -> None:
    """Contract: chunk by chunk, announced or not, and nothing of it once it is answered."""
    for announce in (True, False):
        admission = door()
        found = ask(admission, [b"x" * 30, b"x" * 20], announce=announce)
        assert found == ([], [30, 50, 2])
        assert (admission.bytes, admission.images) == (0, 0)
    with pytest.raises(OverloadedError):
        ask(admission, [b"x" * 60, b"x" * 60], announce=False)
    assert (admission.bytes, admission.images) == (0, 0)


@pytest.mark.parametrize(("size", "images"), [(60, 1), (0, 4)])
def test_who_does_not_fit_is_refused_before_anything_is_read(size: int, images: int) -> None:
    """Contract: 503 with a time to come again; the route is not even reached."""
    admission = door()
    ticket = admission.enter()
    ticket.hold(size)
    ticket.arrive(images)
    (start, body), reached = ask(admission, [b"x" * 50], headers={"x-request-id": "part-17"})
    assert not reached
    assert b'"request_id":"part-17"' in body["body"]
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert b"urn:gatewatch:problem:overloaded" in body["body"]


def test_what_is_over_the_limit_is_left_to_the_limit() -> None:
    """Contract: a body that may never come in is a 413 of the route, not a 503 for ever."""
    _, reached = ask(door(), [b"x"], announce=False, headers={"content-length": "101"})
    assert reached


@pytest.mark.parametrize("timeout", ["9" * 5000, "\N{SUPERSCRIPT TWO}", "-1", "1.5", "soon"])
def test_what_is_no_time_is_left_to_the_route(timeout: str) -> None:
    """Contract: it says what is wrong with the header; here it limits nothing."""
    admission = door()
    admission.enter().arrive(1)
    found, reached = ask(admission, [b"x"], headers={TIMEOUT: timeout})
    assert (found, len(reached)) == ([], 2)


def test_what_is_answered_makes_room_though_nobody_reads_the_answer() -> None:
    """Contract: a client that does not read keeps its connection, and nobody out."""
    admission = door()

    async def route(scope: Scope, _receive: Receive, send: Send) -> None:
        arrived(scope, 4)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert admission.images == 0

    async def nothing(*_: Any) -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request"}

    asyncio.run(behind(route, admission)(scope_of({}), nothing, nothing))


def test_nobody_works_for_a_client_that_has_gone() -> None:
    """Contract: the work is cancelled and its places given back."""
    admission = door()
    sent: list[Message] = []
    ended: list[str] = []

    async def route(scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        arrived(scope, 2)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"x"}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(behind(route, admission)(scope_of({}), receive, send))
    assert ended == ["cancelled"]
    assert not sent
    assert (admission.images, admission.bytes, admission.requests) == (0, 0, 0)


def test_other_requests_pass_without_a_ticket() -> None:
    """Contract: only those that bring images to be scored are held up."""
    seen: list[Any] = []

    async def route(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope.get(TICKET))

    full = Admission(Telemetry(), images=0, total_bytes=0, seconds=1.0, enough=2)
    admit: Any = behind(route, full)
    for scope in (
        {"type": "http", "method": "GET", "path": "/score"},
        {"type": "http", "method": "POST", "path": "/scores"},
        {"type": "lifespan"},
    ):
        asyncio.run(admit(scope, None, None))
    assert seen == [None] * 3


def test_refusals_and_clients_that_have_gone_are_counted() -> None:
    """Contract: by route, though a refusal never reaches one; 499 is who did not wait."""
    telemetry = Telemetry()
    count = telemetry.registry.get_sample_value
    full = Admission(telemetry, images=0, total_bytes=0, seconds=1.0, enough=2)

    async def ignored(*_: Any) -> Any:
        return {"type": "http.request"}

    asyncio.run(behind(None, full, telemetry)(scope_of({}), ignored, ignored))
    labels = {"route": "/{what}", "method": "POST", "status": "503"}
    assert count("gatewatch_requests_total", labels) == 1

    async def gone(*_: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Observe(gone, telemetry)(scope_of({}), ignored, ignored))
    labels = {"route": "unmatched", "method": "any", "status": "499"}
    assert count("gatewatch_requests_total", labels) == 1


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with line(tmp_path_factory.mktemp("door")) as running:
        running.fit()
        yield running


ROUTES = (
    f"/v1/detectors/{NAME}/score",
    f"/v1/detectors/{NAME}/explain",
    f"/v1/detectors/{NAME}/map",
    f"/v1/detectors/{NAME}/divergence",
    f"/v1/detectors/{NAME}/compare?first=2&second=3",
    f"/v1/score?detectors={NAME}",
    f"/v2/models/{NAME}/infer",
    f"/v2/models/{NAME}/versions/3/infer",
)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_that_takes_images_has_the_door(bolts: Line, route: str) -> None:
    """Contract: while all places are taken each refuses; afterwards none is left taken."""
    admission: Admission = bolts.service.ingest.admission
    ticket = admission.enter()
    ticket.arrive(admission._most_images)
    headers = {"content-type": "image/png", TIMEOUT: "5000"}
    try:
        answer = bolts.client.post(route, content=picture(1), headers=headers)
    finally:
        ticket.leave()
    problem(answer, 503, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    bolts.client.post(route, content=picture(1), headers=headers)
    assert (admission.images, admission.bytes) == (0, 0)
