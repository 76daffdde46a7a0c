"""A receiver of notices, alarms to tell of, and senders that do not take their time."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from storage_helpers import BY, detector

from app.health.heartbeats import Heartbeats
from app.notices.content import Ending, alarm
from app.notices.sender import Sender
from app.notices.sinks import Sink
from app.storage import Storage
from app.storage.drift_states import DriftStates
from app.storage.notices import Standing
from app.telemetry import Telemetry

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BEGUN = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Got:
    """A request as it came."""

    headers: Mapping[str, str]
    body: bytes
    content: dict[str, Any]


class Receiver:
    """A webhook on loopback: answers with what is put into ``answers``, and with 204 from then on.

    An answer is a status and headers, or a function that may wait before it returns them.
    """

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[Any] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Got(headers, body, json.loads(body)))
                answer = receiver.answers.pop(0) if receiver.answers else (204, {})
                status, more = answer() if callable(answer) else answer
                self.send_response(status)
                for name, value in {"content-length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alarms"

    @property
    def contents(self) -> list[dict[str, Any]]:
        """What came, in order."""
        return [each.content for each in self.got]

    @property
    def ids(self) -> list[str]:
        """The ids of what came, in order."""
        return [each.content["id"] for each in self.got]

    @contextmanager
    def open(self) -> Iterator["Receiver"]:
        """Take requests until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class Watched:
    """A detector's alarms, raised and ended as the drift state is kept."""

    def __init__(self, storage: Storage, name: str = "bolts", sinks: Sequence[str] = ()) -> None:
        self.states, self.sinks, self.name = DriftStates(storage.database), sinks, name
        self.id = storage.versions.create(detector(name), BY).entry.id

    def stand(self, *images: int, ending: Ending | None = None) -> None:
        """Keep a state with the alarms of these images, and no others."""
        alarms = {each["id"]: each for each in map(self.alarm, images)}
        more = {} if ending is None else {"ending": ending}
        standing = Standing(self.sinks, alarms, **more)
        counter = self.states.counter(self.id)
        self.states.put(self.id, b"state", counter, None, standing)

    def alarm(self, image: int) -> dict[str, Any]:
        """Return the notice of an alarm by an image."""
        return alarm(
            self.id,
            self.name,
            version=2,
            monitor="bulk",
            stream="bulk",
            image=f"{image:032x}",
            image_number=image,
            at=BEGUN + timedelta(seconds=image),
            evidence_log10=4.5,
            threshold_log10=4.0,
            promise="one in 10,000 images",
            summary="The traffic has changed: bulk.",
            top_images=[f"{image:032x}"],
        )


def sender(storage: Storage, sinks: Mapping[str, Sink], telemetry: Telemetry) -> Sender:
    """Return a sender on a storage."""
    return Sender(storage.database, sinks, telemetry.notices, Heartbeats())


def send_until(senders: Sequence[Sender], holds: Callable[[], Any], timeout_s: float = 60) -> None:
    """Run senders until something is so, and stop them."""

    async def work() -> None:
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(0.01)

    async def run() -> None:
        for each in senders:
            await each.__aenter__()
        try:
            await work()
        finally:
            for each in senders:
                await each.__aexit__()

    asyncio.run(run())


def states(storage: Storage) -> list[dict[str, str]]:
    """Return the state of each notice at each sink, oldest first."""
    told = Sender(storage.database, {}, Telemetry().notices, Heartbeats()).outbox.latest(1000)
    return [{way.sink: way.state for way in each.deliveries} for each in reversed(told)]
