"""The door over HTTP: refused before the body is read, and every place given back."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import problem
from starlette.types import Message, Receive, Scope, Send

from app.deadlines import TIMEOUT
from app.errors import OverloadedError
from app.middleware import TICKET, Admit, arrived
from app.scoring.admission import Admission
from app.telemetry import Telemetry

PATH = re.compile("^/score$")


def door() -> Admission:
    return Admission(Telemetry(), images=4, total_bytes=100, seconds=1.0, enough=2)


def ask(
    admission: Admission, chunks: list[bytes], *, announce: bool = True, **headers: str
) -> tuple[list[Message], list[int]]:
    """Send a body to a route that reads it; return the answer, and what was held at every chunk."""
    sent: list[Message] = []
    held: list[int] = []
    left = iter(chunks)

    async def receive() -> Message:
        chunk = next(left)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    async def route(scope: Scope, receive: Receive, _send: Send) -> None:
        for _ in chunks:
            await receive()
            held.append(admission.bytes)
        arrived(scope, 2)
        held.append(admission.images)

    if announce:
        headers["content-length"] = str(sum(map(len, chunks)))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/score",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(Admit(route, admission, [PATH])(scope, receive, send))
    return sent, held


def test_an_announced_body_is_held_from_the_beginning() -> None:
    """Contract: all of it before the first byte, and nothing once it is answered."""
    admission = door()
    assert ask(admission, [b"x" * 30, b"x" * 20]) == ([], [50, 50, 2])
    assert (admission.bytes, admission.images) == (0, 0)


def test_a_body_that_does_not_say_how_long_it_is_is_held_as_it_comes() -> None:
    """Contract: chunk by chunk; and refused when there is no more room."""
    admission = door()
    assert ask(admission, [b"x" * 30, b"x" * 20], announce=False) == ([], [30, 50, 2])
    with pytest.raises(OverloadedError):
        ask(admission, [b"x" * 60, b"x" * 60], announce=False)
    assert (admission.bytes, admission.images) == (0, 0)


@pytest.mark.parametrize("held", [{"size": 60}, {"images": 4}])
def test_who_does_not_fit_is_refused_before_anything_is_read(held: dict[str, int]) -> None:
    """Contract: 503 with a time to come again; the route is not even reached."""
    admission = door()
    ticket = admission.enter()
    ticket.hold(size=held.get("size", 0), images=held.get("images", 1) - 1)
    (start, body), reached = ask(admission, [b"x" * 50])
    assert not reached
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert b"urn:gatewatch:problem:overloaded" in body["body"]


def test_other_requests_pass_without_a_ticket() -> None:
    """Contract: only those that bring images to be scored are held up."""
    seen: list[Any] = []

    async def route(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope.get(TICKET))

    full = Admission(Telemetry(), images=0, total_bytes=0, seconds=1.0, enough=2)
    admit: Any = Admit(route, full, [PATH])
    for scope in (
        {"type": "http", "method": "GET", "path": "/score"},
        {"type": "http", "method": "POST", "path": "/scores"},
        {"type": "lifespan"},
    ):
        asyncio.run(admit(scope, None, None))
    assert seen == [None] * 3


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
    ticket.hold(images=admission._most_images - 1)
    headers = {"content-type": "image/png", TIMEOUT: "5000"}
    try:
        answer = bolts.client.post(route, content=picture(1), headers=headers)
    finally:
        ticket.leave()
    problem(answer, 503, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    bolts.client.post(route, content=picture(1), headers=headers)
    assert (admission.images, admission.bytes) == (0, 0)
