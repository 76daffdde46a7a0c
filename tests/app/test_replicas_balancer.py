"""HAProxy with the committed configuration, before servers that do what no good replica would."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from ports import free_port
from replica_cluster import Names, balancing, until

LENGTH = "content-length"


class Backend(ThreadingHTTPServer):
    """A server that is ready, and does by a path's name what the tests are about."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.seen: list[str] = []
        self.first = threading.Event()
        self.gone = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave out that probes hang up."""


class Handler(BaseHTTPRequestHandler):
    """Of one connection."""

    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        self.answer(200, host=self.server.server_address[0])

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        if self.path == "/dies":
            self.rfile.read(int(self.headers[LENGTH]))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.path == "/slow":
            self.rfile.read(1)
            self.server.first.set()
            self.rfile.read(int(self.headers[LENGTH]) - 1)
            self.answer(200)
        elif self.path == "/waits":
            self.rfile.read(int(self.headers[LENGTH]))
            with contextlib.suppress(ConnectionResetError):
                self.connection.recv(1)  # nothing more comes, until the other side hangs up
            self.server.gone.set()
            self.close_connection = True
        else:
            self.rfile.read(int(self.headers[LENGTH]))
            self.answer(int(self.path[1:]), retry_after="7", told=self.headers["x-request-id"])

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "content_length": "0"}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def backend(host: str, port: int) -> Iterator[Backend]:
    """Run one."""
    with Backend(host, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def names() -> Iterator[Names]:
    with Names() as made:
        yield made


@pytest.fixture
def port() -> int:
    """On which every backend listens."""
    return free_port()


@pytest.fixture
def client(names: Names, port: int, tmp_path: Path) -> Iterator[httpx.Client]:
    """Of the balancer, which knows nobody yet."""
    with balancing(tmp_path, names, port) as mine:
        address = f"http://127.0.0.1:{mine}"
        until(lambda: listens(mine), "the balancer does not listen")
        with httpx.Client(base_url=address, timeout=60) as made:
            yield made


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def found(names: Names, client: httpx.Client, *hosts: str) -> None:
    """Let servers be found, and wait until each has answered."""
    names.addresses = list(hosts)
    until(
        lambda: {client.get("/").headers.get("host") for _ in range(8)} >= set(hosts),
        "the balancer does not find them",
    )


def test_where_nobody_is_ready_it_says_when_to_come_again(client: httpx.Client) -> None:
    """Contract: a problem as the service's own."""
    answer = client.post("/200", content=b"x")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:gatewatch:problem:unavailable"
    assert answer.json()["status"] == 503


def test_what_was_sent_is_not_repeated(client: httpx.Client, names: Names, port: int) -> None:
    """Contract: where one ends before it answers nobody else is asked.

    It is a 503; on a connection that has had an answer, a close, as HTTP has it.
    """
    with backend("127.0.0.2", port) as one, backend("127.0.0.3", port) as other:
        found(names, client, "127.0.0.2", "127.0.0.3")
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/dies", content=b"x")
        answer = httpx.post(client.base_url.join("/dies"), content=b"x")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["status"] == 503
        assert one.seen + other.seen == ["/dies", "/dies"]


@pytest.mark.parametrize("status", [200, 429, 502, 503])
def test_answers_pass_as_they_are(
    client: httpx.Client, names: Names, port: int, status: int
) -> None:
    """Contract: their status, when to come again, and the request's name on the way there."""
    with backend("127.0.0.2", port):
        found(names, client, "127.0.0.2")
        answer = client.post(f"/{status}", content=b"x", headers={"x-request-id": "mine"})
        assert answer.status_code == status
        assert answer.headers.get_list("retry-after") == ["7"]
        assert answer.headers["told"] == "mine"


def test_a_connection_that_fails_is_tried_elsewhere(
    client: httpx.Client, names: Names, port: int
) -> None:
    """Law: from the moment one is gone, before any probe can know it, clients see nothing of it."""
    with backend("127.0.0.2", port):
        with backend("127.0.0.3", port):
            found(names, client, "127.0.0.2", "127.0.0.3")
        answers = [client.post("/200", content=b"x").status_code for _ in range(8)]
        assert set(answers) == {200}


def test_bodies_pass_as_they_come(client: httpx.Client, names: Names, port: int) -> None:
    """Law: the first byte is there before the last one is sent."""
    with backend("127.0.0.2", port) as one:
        found(names, client, "127.0.0.2")

        def body() -> Iterator[bytes]:
            yield b"x"
            assert one.first.wait(60)
            yield b"y"

        answer = client.post("/slow", content=body(), headers={LENGTH: "2"})
        assert answer.status_code == 200


def test_who_hangs_up_is_not_worked_for(client: httpx.Client, names: Names, port: int) -> None:
    """Contract: the replica hears of it."""
    with backend("127.0.0.2", port) as one:
        found(names, client, "127.0.0.2")
        with pytest.raises(httpx.ReadTimeout):
            client.post("/waits", content=b"x", timeout=0.5)
        assert one.gone.wait(60)


def test_metrics_are_each_replicas_own(client: httpx.Client, names: Names, port: int) -> None:
    """Contract: not one's by chance."""
    with backend("127.0.0.2", port):
        found(names, client, "127.0.0.2")
        assert client.get("/metrics").status_code == 404
