"""A real HTTP server that answers as it is told to, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = 0
"""Status of an answer that does not come: the connection is closed."""


@dataclass
class Said:
    """One answer."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


BUSY = Said(503, {"type": "urn:gatewatch:problem:overloaded", "title": "Busy", "detail": "later"})
VERDICT = {"index": 0, "name": "", "verdict": "normal", "score": 1.0}
SCORED = Said(200, {"detector": "n", "version": 1, "results": [VERDICT]})
AT = "2030-01-01T00:00:00Z"
JOB: dict[str, Any] = {
    "id": "1" * 32,
    "kind": "fit",
    "detector": "n",
    "state": "running",
    "cancel_requested": False,
    "images": 2,
    "images_done": 1,
    "images_per_second": None,
    "seconds_left": None,
    "created_at": AT,
    "started_at": AT,
    "ended_at": None,
    "problem": None,
    "result": None,
}


def event(number: int, **changes: Any) -> bytes:
    """Return an event of a job as it comes."""
    name = "end" if changes.get("state") == "succeeded" else "progress"
    text = json.dumps(JOB | changes, ensure_ascii=False)
    return f": alive\n\nevent: {name}\r\nid: {number}\r\ndata: {text}\r\n\r\n".encode()


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Flaky:
    """The server; the last of its answers is given again and again."""

    def __init__(self, answers: Sequence[Said]) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.url = ""

    def next(self) -> Said:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def flaky(*answers: Said) -> Iterator[Flaky]:
    """Run a server that gives these answers in turn."""
    told = Flaky(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self._body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append(Asked(self.command, self.path, headers, body))
            said = told.next()
            if said.status == CUT:
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in ({"Content-Type": "application/json"} | said.headers).items():
                self.send_header(name, value)
            if "Content-Length" not in said.headers:
                self.send_header("Content-Length", str(len(said.content)))
            self.end_headers()
            self.wfile.write(said.content)
            self.close_connection = "Content-Length" in said.headers  # which is not what is sent

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
