"""``gatewatch simulate`` against a real server process: verdicts, refusals, what it leaves."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_helpers import encode
from key_helpers import bearer
from ports import free_port
from real_server import Server, environment
from typer.testing import CliRunner, Result

from app.cli import cli
from app.simulation.pictures import LEAST_IMAGES, Drawn

Run = Callable[..., Result]
FEW = ("--fitted", "30", "--calibrated", "200", "--rate", "1000", "--image-size", "96")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("simulate") / "data").serving() as server:
        yield server


@pytest.fixture
def run(server: Server) -> Run:
    def run(*arguments: str, exit_code: int = 0) -> Result:
        command = ["simulate", "--url", f"http://127.0.0.1:{server.port}", *arguments]
        ended = CliRunner().invoke(cli, command)
        assert ended.exit_code == exit_code, ended.output
        assert ended.exception is None or isinstance(ended.exception, SystemExit)
        return ended

    return run


def detectors(server: Server) -> list[str]:
    listed = server.client.get("/v1/detectors").json()["detectors"]
    return [each["name"] for each in listed]


@pytest.mark.slow
def test_a_tour_notices_every_change(server: Server, run: Run) -> None:
    """Contract: normal traffic is silent, each change is noticed by whom it should be."""
    ended = run("--scene", "tour", "--count", "90", *FEW)
    said = [line for line in ended.stdout.splitlines() if " images, " in line]
    assert [line.split(",")[0] for line in said] == [
        "Normal traffic",
        "More and more defects",
        "Back to normal",
        "Normal traffic",
        "A lamp that slowly fails",
        "Back to normal",
        "Normal traffic",
        "A lens that goes out of focus",
        "Back to normal",
        "Normal traffic",
        "Another product",
    ]
    for line in said:
        if line.startswith("Normal"):
            assert line.endswith("no alarm, as it should be.")
        elif not line.startswith("Back"):
            assert ": noticed by " in line
            firsts = [int(n) for n in re.findall(r"after (\d+) images", line)]
            assert firsts == sorted(firsts)
            assert 1 <= firsts[0] <= 90
    assert "rate after" in said[1]
    assert said[1].endswith("bulk and frozen were silent, as they should be.")
    assert "input (" in said[4]
    assert "input (" in said[7]
    assert "alarm of input (" in ended.stdout
    assert detectors(server) == []
    lines = server.client.get("/v1/audit", params={"subject": "simulated"}).json()["lines"]
    actions = [line["action"] for line in lines]
    assert actions.count("drift.acknowledge") == 4
    assert actions.count("drift.rebaseline") == 3
    assert {line["reason"] for line in lines} == {"gatewatch simulate"}


@pytest.mark.slow
def test_own_images_and_what_is_kept(server: Server, run: Run, tmp_path: Path) -> None:
    """Contract: an operator's own images are dimmed; the detector stays, and is replaced later."""
    own = tmp_path / "own"
    own.mkdir()
    for number in range(LEAST_IMAGES):
        (own / f"{number}.png").write_bytes(encode(Drawn(5).get("traffic", number)))
    asked = ("--images", str(own), "--detector", "ours", "--count", "60", *FEW)
    ended = run(*asked, "--scene", "lighting", "--keep")
    assert "A lamp that slowly fails, 60 images" in ended.stdout
    assert "'ours' is left there" in ended.stderr
    assert detectors(server) == ["ours"]
    info = server.client.get("/v1/detectors/ours").json()
    assert (info["fitted_images"], info["calibration_images"]) == (30, 30)
    run(*asked, "--scene", "normal")
    assert detectors(server) == []


def test_a_detector_of_somebody_else_is_let_be(server: Server, run: Run) -> None:
    """Contract: also one that was made again under a name that a simulation had."""
    body = {"name": "bricks", "image_size": 64}
    ours = {"reason": "gatewatch simulate"}
    url = "/v1/detectors/bricks"
    assert server.client.post("/v1/detectors", json=body, params=ours).status_code == 201
    assert server.client.delete(url).status_code == 204
    assert server.client.post("/v1/detectors", json=body).status_code == 201
    before = server.client.get(url).json()
    ended = run("--detector", "bricks", exit_code=2)
    assert "'bricks' that no simulation has made" in ended.stderr
    assert server.client.get(url).json() == before
    assert server.client.delete(url).status_code == 204


def test_what_is_asked_must_make_sense(run: Run, tmp_path: Path) -> None:
    """Contract: each refusal says what to do, and nothing is begun."""
    assert "does not match" in run("--detector", "a/b", exit_code=2).stderr
    assert "two products are drawn" in run("--other", str(tmp_path), exit_code=2).stderr
    own = run("--images", str(tmp_path), "--scene", "tour", exit_code=2)
    assert "give its images with --other" in own.stderr
    assert "no image in" in run("--images", str(tmp_path), exit_code=2).stderr
    (tmp_path / "key").write_text("käy")
    assert "no key has" in run("--key-file", str(tmp_path / "key"), exit_code=2).stderr


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://here", "http://", "http://[::1"])
def test_what_is_no_address_is_refused(run: Run, url: str) -> None:
    assert "is no address" in run("--url", url, exit_code=2).stderr


def test_where_nobody_answers(run: Run) -> None:
    ended = run("--url", f"http://127.0.0.1:{free_port()}", exit_code=2)
    assert "start it with gatewatch serve" in ended.stderr


def interrupted(server: Server, when: Callable[[], Any], *arguments: str) -> tuple[int, str]:
    """Run the command in a process of its own, and interrupt it at some point."""
    url = f"http://127.0.0.1:{server.port}"
    command = [sys.executable, "-m", "app.cli", "simulate", "--url", url, *arguments]
    # A shell that runs the tests in the background has them, and all they start, ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 120
        while not when():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, said


@pytest.mark.slow
def test_an_interrupt_leaves_nothing(server: Server) -> None:
    """Contract: neither the detector nor a job that works on."""

    def learning() -> bool:
        jobs = server.client.get("/v1/jobs").json()["jobs"]
        return any(job["detector"] == "broken-off" and job["images_done"] for job in jobs)

    code, said = interrupted(server, learning, "--detector", "broken-off", "--fitted", "300")
    assert code == 130
    assert "Traceback" not in said
    assert detectors(server) == []
    jobs = server.client.get("/v1/jobs").json()["jobs"]
    (job,) = [job for job in jobs if job["detector"] == "broken-off"]
    assert job["cancel_requested"] or job["state"] != "running"


@pytest.mark.slow
def test_a_role_is_missing_and_then_the_service(tmp_path: Path) -> None:
    """Contract: what is needed is said before anything is made; and what is left, in the end."""
    with Server(tmp_path / "data").serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        body = {"name": "boss", "role": "admin"}
        admin = server.client.post("/v1/keys", json=body).json()["key"]
        asked = {"name": "worker", "role": "fit"}
        made = server.client.post("/v1/keys", json=asked, headers=bearer(admin)).json()
        files = {name: tmp_path / name for name in ("admin", "fit")}
        files["admin"].write_text(admin)
        files["fit"].write_text(made["key"])
        for keys in ((), ("--key-file", str(files["fit"]))):
            ended = CliRunner().invoke(cli, ["simulate", "--url", url, *keys])
            assert ended.exit_code == 2
            assert "a key of role 'admin'" in ended.stderr

        def gone() -> bool:
            names = server.client.get("/v1/detectors", headers=bearer(admin)).json()["detectors"]
            if names:
                server.process.kill()
                server.process.wait()
            return bool(names)

        code, said = interrupted(server, gone, "--key-file", str(files["admin"]))
        assert code == 130
        assert "'simulated' is left there: delete it, or simulate again" in said


@pytest.mark.slow
def test_a_service_that_does_not_watch(tmp_path: Path) -> None:
    """Contract: it says which setting, and takes its detector along."""
    settings = {"GATEWATCH_DRIFT_FALSE_ALARM_IMAGES": "0"}
    with Server(tmp_path / "data", settings).serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        command = ["simulate", "--url", url, *FEW]
        ended = CliRunner().invoke(cli, command)
        assert ended.exit_code == 1
        assert "set GATEWATCH_DRIFT_FALSE_ALARM_IMAGES" in ended.stderr
        assert detectors(server) == []
