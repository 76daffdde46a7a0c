"""A real server process: from start to stop, through kill -9 and rude clients."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import parser

from app import __version__

MAX_BODY_BYTES = 20_000_000
SERVE = [sys.executable, "-m", "app.cli", "serve"]


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("GATEWATCH_")}
    return kept | {"GATEWATCH_DEVICE": "cpu"} | more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A process that serves a data directory, its log in a file."""

    directory: Path

    def start(self) -> "Server":
        """Start it and wait until it is ready."""
        self.port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.log = self.directory.parent / "server.log"
        variables = environment(
            GATEWATCH_DATA_DIR=str(self.directory),
            GATEWATCH_MAX_BODY_BYTES=str(MAX_BODY_BYTES),
            GATEWATCH_DRAIN_SECONDS="60",
        )
        with self.log.open("ab") as log:
            command = [*SERVE, "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    def is_ready(self) -> bool:
        """Ask it."""
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals) -> int:
        """Send a signal, wait, and return the exit code."""
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.client.close()
        return code

    def metrics(self) -> dict[str, Any]:
        """Return the last sample of every series by its name."""
        families = parser.text_string_to_metric_families(self.client.get("/metrics").text)
        return {sample.name: sample for family in families for sample in family.samples}

    def upload(self, name: str, verb: str, contents: list[bytes]) -> Any:
        """Send a form; return the JSON of its answer."""
        files = [("images", (f"{i}.png", png, "image/png")) for i, png in enumerate(contents)]
        response = self.client.post(f"/v1/detectors/{name}/{verb}", files=files)
        assert response.status_code == 200, response.text
        return response.json()

    def score(self, name: str, content: bytes) -> dict[str, Any]:
        """Return the result of one image, without its timings."""
        headers = {"content-type": "image/png"}
        response = self.client.post(f"/v1/detectors/{name}/score", content=content, headers=headers)
        assert response.status_code == 200, response.text
        (only,) = response.json()["results"]
        return {key: value for key, value in only.items() if key != "timings_ms"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pngs: list[bytes]) -> Iterator[Server]:
    """A server with two detectors, each created, fitted and calibrated over HTTP."""
    server = Server(tmp_path_factory.mktemp("end-to-end") / "data").start()
    try:
        for name, scorer in (("gravel", "gaussian"), ("other", "prototype")):
            body = {"name": name, "scorer": scorer, "image_size": 64}
            assert server.client.post("/v1/detectors", json=body).status_code == 201
            assert server.upload(name, "fit", pngs[:20])["fitted"] == 20
            assert server.upload(name, "calibrate", pngs[20:40])["calibrated"] == 20
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.process.kill()
        server.process.wait()
        server.client.close()


def test_a_fresh_server_says_what_it_is(server: Server) -> None:
    """Contract: metrics, version and backbone of a service that was put together for real."""
    info = server.client.get("/v1/info").json()
    assert (info["version"], info["device"]) == (__version__, "cpu")
    build = server.metrics()["gatewatch_build_info"]
    assert build.labels == {"version": __version__, "backbone": "se-lite0", "device": "cpu"}
    assert build.value == 1


def test_eight_clients_get_their_own_results(server: Server, pngs: list[bytes]) -> None:
    """Law: concurrency changes nothing but rounding; nobody gets another's result."""
    images = pngs[40:56]
    alone = [server.score("gravel", png)["score"] for png in images]
    assert len(set(alone)) == len(images)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda png: server.score("gravel", png), images * 3))
    assert [item["score"] for item in together] == pytest.approx(alone * 3, rel=1e-4)


PART = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\nabc'
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
HEAD = b"POST /v1/detectors/gravel/score HTTP/1.1\r\nHost: x\r\n"
RAW = b"Content-Type: image/png\r\n"
RUDE = {
    "a body cut short": RAW + b"Content-Length: 5000\r\n\r\n\x89PNG",
    "a form cut short": FORM + b"Content-Length: 5000\r\n\r\n" + PART,
    "a chunk cut short": RAW + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "no body": RAW + b"Content-Length: 5000\r\n\r\n",
    "headers cut short": b"Content-Type: ima",
}


@pytest.mark.parametrize("kind", RUDE)
def test_a_client_that_hangs_up_does_no_harm(server: Server, pngs: list[bytes], kind: str) -> None:
    """Contract: the next client is served; the log holds no traceback."""
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(HEAD + RUDE[kind])
            time.sleep(0.05)
    assert server.score("gravel", pngs[0])["verdict"] == "normal"
    assert server.is_ready()
    assert "Traceback" not in server.log.read_text()


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server: Server) -> None:
    """Contract: 413 as a problem to who only announces it, and to who sends all of it."""
    head = HEAD + RAW
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1))
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
    headers = {"content-type": "image/png"}
    large = b"x" * (MAX_BODY_BYTES + 1)
    response = server.client.post("/v1/detectors/gravel/score", content=large, headers=headers)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert server.is_ready()


def refused(more: list[str], **variables: str) -> tuple[int, str]:
    """Return exit code and standard error of a server that cannot start."""
    ended = subprocess.run(
        [*SERVE, *more], env=environment(**variables), capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def test_a_server_that_cannot_start_says_why(server: Server) -> None:
    """Contract: a port in use, a misspelt setting; no harm to who has the port and the data."""
    with ThreadPoolExecutor(2) as pool:
        port = pool.submit(
            refused, ["--port", str(server.port)], GATEWATCH_DATA_DIR=str(server.directory)
        )
        stray = pool.submit(refused, [], GATEWATCH_MAX_BACTH="4")
        code, why = port.result()
        assert code not in (0, 2)
        assert "address already in use" in why
        code, why = stray.result()
        assert code == 2
        assert "GATEWATCH_MAX_BACTH; there are" in why
    assert server.is_ready()


def test_kill_and_restart_loses_nothing_and_terminate_drains(
    server: Server, pngs: list[bytes]
) -> None:
    """Law: restart = same state, bit for bit, though a fit was under way; SIGTERM drains."""
    body = {"name": "slow", "scorer": "prototype", "image_size": 512}
    assert server.client.post("/v1/detectors", json=body).status_code == 201
    server.upload("slow", "fit", pngs[:2])
    names = ("gravel", "other", "slow")
    detectors = server.client.get("/v1/detectors").json()
    assert [info["name"] for info in detectors["detectors"]] == list(names)
    scores = [server.score(name, png) for name in names for png in pngs[60:63]]

    failed = threading.Event()

    def fit() -> None:
        try:
            server.upload("slow", "fit", pngs)
        except httpx.TransportError:
            failed.set()

    fitting = threading.Thread(target=fit)
    fitting.start()
    time.sleep(0.5)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    fitting.join()
    assert failed.is_set()

    server.start()
    assert server.client.get("/v1/detectors").json() == detectors
    assert [server.score(name, png) for name in names for png in pngs[60:63]] == scores

    with ThreadPoolExecutor(1) as pool:
        batches = server.metrics()["gatewatch_batch_images_count"].value
        under_way = pool.submit(server.upload, "slow", "score", pngs[:9])
        while server.metrics()["gatewatch_batch_images_count"].value == batches:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        assert len(under_way.result(30)["results"]) == 9
    # uvicorn stops in order and then passes the signal on, as a shell would have it
    assert server.process.wait(15) == -signal.SIGTERM
    log = server.log.read_text()
    assert "Application shutdown complete" in log
    assert "Traceback" not in log
