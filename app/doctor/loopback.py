"""The real service on a loopback port of this process: what HTTP costs, what all of it achieves.

HTTP is measured by requests that carry a picture and ask for a detector that was never fitted: the
whole way in and out, its look-up included, without the work. Its cost is the processor time of the
process less that of the client's thread.
"""

import asyncio
import http.client
import logging
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import uvicorn

from app.intake.local_images import LocalImages
from app.learning import fitting
from app.learning.order import Order
from app.main import create_app, open_storage
from app.service import Service
from app.settings import Settings
from app.storage.audit import By
from app.telemetry import Telemetry
from detector.embedder import Embedder

NAME, UNFITTED = "doctor", "doctor-unfitted"
REFUSED_PAUSE_S = 0.05
HTTP_REQUESTS = 200
LOAD_S = 4.0
START_LIMIT_S = 60.0
BY = By("doctor")


@dataclass(frozen=True, slots=True)
class Load:
    """What the service achieved, clients and server on the same cores."""

    clients: int
    images_per_s: float
    p50_ms: float
    p99_ms: float


class Loopback:
    """A service that serves; ``running`` makes one."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.service = service
        self._loop, self._port = loop, port

    def fit(self, pictures: Sequence[Path]) -> None:
        """Fit a default detector to files."""
        self.service.catalogue.create(NAME, BY)
        order = Order(BY, uuid.uuid4().hex)
        work = fitting.fit(self.service, NAME, LocalImages.of(pictures), order, extend=False)
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def http_s(self, content: bytes) -> float:
        """Return the processor seconds of one request, without what the client takes.

        Raises:
            OSError: if the service answers what it should not.
        """
        connection = self._connect()
        self._ask(connection, UNFITTED, content)  # it reads what is known of the detector
        all_s, mine_s = time.process_time(), time.thread_time()
        answers = {self._ask(connection, UNFITTED, content) for _ in range(HTTP_REQUESTS)}
        all_s, mine_s = time.process_time() - all_s, time.thread_time() - mine_s
        connection.close()
        if answers != {HTTPStatus.CONFLICT}:
            raise OSError(f"the service answered {sorted(answers)}, not 409: see the log above")
        return (all_s - mine_s) / HTTP_REQUESTS

    def load(self, content: bytes, clients: int) -> Load:
        """Return what so many clients get, each of whom asks again when it was answered.

        Raises:
            OSError: if none was served.
        """
        end_s = time.perf_counter() + LOAD_S
        took_s: list[float] = []

        def client() -> None:
            connection = self._connect()
            while (begun_s := time.perf_counter()) < end_s:
                if self._ask(connection, NAME, content) == HTTPStatus.OK:
                    took_s.append(time.perf_counter() - begun_s)
                else:  # it refuses for want of time, which asking again at once would take
                    time.sleep(REFUSED_PAUSE_S)
            connection.close()

        threads = [threading.Thread(target=client) for _ in range(clients)]
        begun_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not took_s:
            raise OSError("the service answered no request: see the log above")
        ranked = statistics.quantiles(took_s * 2, n=100)  # twice each: one answer would be too few
        rate = len(took_s) / (time.perf_counter() - begun_s)
        return Load(clients, rate, 1e3 * ranked[49], 1e3 * ranked[98])

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def _ask(self, connection: http.client.HTTPConnection, name: str, content: bytes) -> int:
        headers = {"Content-Type": "application/octet-stream"}
        connection.request("POST", f"/v1/detectors/{name}/score", content, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def running(settings: Settings, embedder: Embedder) -> Iterator[Loopback]:
    """Serve the settings' data directory on a free port of this machine, on a thread."""
    service = Service(settings, embedder, open_storage(settings), Telemetry())
    app = create_app(settings, service)
    loops: list[asyncio.AbstractEventLoop] = []
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    server = uvicorn.Server(config)

    async def serve(listener: socket.socket) -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    access = logging.getLogger("gatewatch.access")  # a line for each request
    level = access.level
    access.setLevel(logging.WARNING)
    # With the protocol said: else asyncio leaves Nagle's algorithm on, and a client waits 40 ms for
    # an answer of two writes.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: asyncio.run(serve(listener)), name="serve")
        thread.start()
        try:
            until_s = time.monotonic() + START_LIMIT_S
            while not server.started:
                if not thread.is_alive() or time.monotonic() > until_s:
                    raise OSError("the service does not start: see the log above")
                time.sleep(0.02)
            service.catalogue.create(UNFITTED, BY)
            yield Loopback(service, loops[0], listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
            access.setLevel(level)
