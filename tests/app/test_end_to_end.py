"""A real server process: from start to stop, through kill -9 and rude clients."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from http_helpers import followed
from real_server import MAX_BODY_BYTES, SERVE, Server, environment

from app import __version__


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pngs: list[bytes]) -> Iterator[Server]:
    """A server with two detectors, each created, fitted and calibrated over HTTP."""
    with Server(tmp_path_factory.mktemp("end-to-end") / "data").serving() as server:
        for name, scorer in (("gravel", "gaussian"), ("other", "prototype")):
            body = {"name": name, "scorer": scorer, "image_size": 64}
            assert server.client.post("/v1/detectors", json=body).status_code == 201
            assert server.upload(name, "fit", pngs[:20])["fitted"] == 20
            assert server.upload(name, "calibrate", pngs[20:40])["calibrated"] == 20
        yield server


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
HEAD = b"POST /v1/detectors/gravel/score HTTP/1.1\r\nHost: localhost\r\n"
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
        [*SERVE, *more], env=environment(**variables), capture_output=True, text=True, timeout=300
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
        assert code == 1
        assert why.startswith(f"gatewatch: port {server.port} is in use: ")
        code, why = stray.result()
        assert code == 2
        assert "GATEWATCH_MAX_BACTH; there are" in why
    assert server.is_ready()


def test_kill_and_restart_loses_nothing_and_terminate_drains(
    server: Server, pngs: list[bytes]
) -> None:
    """Law: restart = same state, bit for bit; the fit under way is finished; SIGTERM drains."""
    body = {"name": "slow", "scorer": "prototype", "image_size": 512}
    assert server.client.post("/v1/detectors", json=body).status_code == 201
    server.upload("slow", "fit", pngs[:2])
    names = ("gravel", "other", "slow")
    detectors = server.client.get("/v1/detectors").json()
    assert [info["name"] for info in detectors["detectors"]] == list(names)
    scores = [server.score(name, png) for name in names for png in pngs[60:63]]

    files = [("images", (f"{i}.png", png, "image/png")) for i, png in enumerate(pngs)]
    begun = server.client.post("/v1/detectors/slow/fit", files=files, params={"promote": "never"})
    assert begun.status_code == 202
    job = begun.headers["location"]
    while not server.client.get(job).json()["images_done"]:
        time.sleep(0.05)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL

    server.start()
    # Until the lease is over; it may be, and the work done, where starting has taken long.
    assert server.client.get(job).json()["state"] in ("running", "succeeded")
    assert server.client.get("/v1/detectors").json() == detectors
    fitted = followed(server.client, begun).json()
    assert (fitted["fitted"], fitted["rejected"]) == (len(pngs), [])
    assert [server.score(name, png) for name in names for png in pngs[60:63]] == scores

    with ThreadPoolExecutor(1) as pool:
        batches = server.metrics()["gatewatch_batch_images_count"].value
        under_way = pool.submit(server.upload, "slow", "score", pngs[:9])
        while server.metrics()["gatewatch_batch_images_count"].value == batches:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        assert len(under_way.result(60)["results"]) == 9
    # uvicorn stops in order and then passes the signal on, as a shell would have it
    assert server.process.wait(60) == -signal.SIGTERM
    log = server.log.read_text()
    assert "Application shutdown complete" in log
    assert "Traceback" not in log
