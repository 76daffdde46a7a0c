"""Adapting gates as a job: what it gives, what it leaves alone, how it stops and begins anew."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from adapt_helpers import SEED, ended, names, submit, under_way
from http_helpers import calibrated, problem, result, running, strict
from safetensors import safe_open
from starlette.testclient import TestClient
from storage_helpers import BY
from typer.testing import CliRunner

import detector.adapt
from app.cli import cli
from app.clock import now
from app.learning.adapting import blob_of
from app.storage import Storage
from app.storage.sweep import sweep
from detector import gate_judging
from detector.embedder import Embedder
from models import adaptation

FOREVER = 10_000
"""Steps of training: minutes, if nobody stops it."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for two steps only."""
    monkeypatch.setattr(adaptation, "STEPS", 2)
    monkeypatch.setattr(adaptation, "ROUNDS", 1)


@pytest.fixture(scope="module")
def normals(pngs: list[bytes]) -> dict[str, bytes]:
    """Normal images by name, and a file that is none."""
    return dict(zip(names(), pngs, strict=False)) | {"broken.png": b"no image"}


@dataclass(frozen=True)
class Done:
    """A service whose adaptation helped, and what a detector said before and after."""

    client: TestClient
    job: dict[str, Any]
    scores: tuple[float, float]


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory,
    embedder: Embedder,
    pngs: list[bytes],
    normals: dict[str, bytes],
) -> Iterator[Done]:
    """Adapt once, for all tests that only look at what came of it."""
    with running(tmp_path_factory.mktemp("service"), embedder) as client:
        calibrated(client, "gravel", pngs[:40])
        before = result(client, "gravel", pngs[-1])["score"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adaptation, "STEPS", 2)
            patch.setattr(adaptation, "ROUNDS", 1)
            patch.setattr(detector.adapt, "verdict", lambda *_: (True, "It helped"))
            job = ended(client, strict(submit(client, normals))["id"])
        after = result(client, "gravel", pngs[-1])["score"]
        yield Done(client, job, (before, after))


def test_gates_that_help_can_be_fetched(done: Done, embedder: Embedder, tmp_path: Path) -> None:
    """Contract: the file has the digest, the report and the fingerprint that the result tells."""
    job, told = done.job, done.job["result"]

    response = done.client.get(told["gates"])

    assert (job["kind"], job["detector"], job["state"]) == ("adapt", "", "succeeded")
    assert told["kept"] is True
    assert told["reason"] == "It helped"
    assert told["gates"] == f"/v1/jobs/{job['id']}/gates"
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/octet-stream"
    disposition = f'attachment; filename="gates-{job["id"]}.safetensors"'
    assert response.headers["content-disposition"] == disposition
    assert hashlib.sha256(response.content).hexdigest() == told["sha256"]
    path = tmp_path / "gates.safetensors"
    path.write_bytes(response.content)
    with safe_open(path, "np") as content:
        assert json.loads(content.metadata()["adaptation"]) == told["report"] | {
            "kept": True,
            "reason": "It helped",
        }
    weighted = Embedder.load("se-lite0", "cpu", weights=path)
    assert weighted.fingerprint == told["report"]["fingerprint_after"] != embedder.fingerprint


def test_what_cannot_be_read_is_listed(done: Done) -> None:
    """Contract: one bad file does not end the job; the others are used."""
    report = done.job["result"]["report"]

    (rejected,) = done.job["result"]["rejected"]

    assert rejected["name"] == "broken.png"
    assert rejected["problem"]["type"] == "urn:gatewatch:problem:undecodable-image"
    assert report["train_images"] + report["held_out_images"] == len(names())
    assert (report["side_px"], report["seed"]) == (64, SEED)


def test_what_is_in_service_stays(done: Done, embedder: Embedder) -> None:
    """Law: a detector gives the same score to the bit; the job began from the gates in service."""
    before, after = done.scores
    assert before == after
    assert done.job["result"]["report"]["fingerprint_before"] == embedder.fingerprint


def test_the_command_gives_the_same_gates(
    done: Done, normals: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the same images and seed give the same file, over HTTP and on the command line."""
    monkeypatch.setenv("GATEWATCH_DEVICE", "cpu")
    monkeypatch.setattr(detector.adapt, "verdict", lambda *_: (True, "It helped"))
    (tmp_path / "normals").mkdir()
    for name, content in normals.items():
        (tmp_path / "normals" / name).write_bytes(content)
    out = tmp_path / "gates.safetensors"

    words = ["adapt", f"{tmp_path}/normals", "--out", f"{out}", "--size", "64", "--seed", f"{SEED}"]
    said = CliRunner().invoke(cli, words)

    assert said.exit_code == 0, said.output
    assert hashlib.sha256(out.read_bytes()).hexdigest() == done.job["result"]["sha256"]


def test_jobs_of_other_kinds_and_no_jobs_have_no_gates(done: Done) -> None:
    """Contract: 404, and the message says what the job is."""
    jobs = strict(done.client.get("/v1/jobs", params={"detector": "gravel"}))["jobs"]
    assert {job["kind"] for job in jobs} == {"fit", "calibrate"}

    response = done.client.get(f"/v1/jobs/{jobs[0]['id']}/gates")

    assert "adapts no gates" in problem(response, 404, "no-adapted-gates")["detail"]
    problem(done.client.get(f"/v1/jobs/{'0' * 32}/gates"), 404, "unknown-job")


def test_gates_that_do_not_help_are_not_kept(
    embedder: Embedder,
    normals: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: the job succeeded, its figures say why; from a folder of the server, too."""
    monkeypatch.setattr(gate_judging, "MARGIN", 2.0)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, content in normals.items():
        (folder / name).write_bytes(content)

    with running(tmp_path / "service", embedder, import_roots=(folder,)) as client:
        query = {"size": 64, "limit": 26, "folder": str(folder)}
        job = ended(client, strict(client.post("/v1/adapt", params=query))["id"])
        response = client.get(f"/v1/jobs/{job['id']}/gates")

    told = job["result"]
    assert (told["kept"], told["gates"], told["sha256"]) == (False, None, None)
    assert "It did not help" in told["reason"]
    used = told["report"]["train_images"] + told["report"]["held_out_images"]
    assert used + len(told["rejected"]) == 26
    assert "It did not help" in problem(response, 404, "no-adapted-gates")["detail"]
    assert Storage.open(tmp_path / "service").blobs.names("gates") == []


def test_scoring_goes_on_and_cancelling_takes_effect(
    embedder: Embedder,
    pngs: list[bytes],
    normals: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: scores while it trains are those from before; cancelled, nothing is left of it.

    Adaptations run one at a time, though two jobs may run at once.
    """
    monkeypatch.setattr(adaptation, "STEPS", FOREVER)
    with running(tmp_path, embedder) as client:
        calibrated(client, "gravel", pngs[:40])
        before = result(client, "gravel", pngs[-1])["score"]
        first, second = (strict(submit(client, normals, seed=seed))["id"] for seed in (1, 2))

        job = under_way(client, first)
        assert job["images"] > FOREVER
        assert job["seconds_left"] > 0
        assert result(client, "gravel", pngs[-1])["score"] == before
        assert strict(client.get(f"/v1/jobs/{second}"))["state"] == "queued"
        waiting = client.get(f"/v1/jobs/{first}/gates")
        for identity in (second, first):
            assert client.delete(f"/v1/jobs/{identity}").status_code == 202
        assert ended(client, first)["state"] == ended(client, second)["state"] == "cancelled"

        assert "its state is running" in problem(waiting, 404, "no-adapted-gates")["detail"]
        gone = client.get(f"/v1/jobs/{first}/gates")
        assert "its state is cancelled" in problem(gone, 404, "no-adapted-gates")["detail"]
        assert result(client, "gravel", pngs[-1])["score"] == before
    blobs = Storage.open(tmp_path).blobs
    assert blobs.names("jobs") == blobs.names("gates") == []


def test_a_job_whose_process_ended_starts_over(
    done: Done,
    normals: dict[str, bytes],
    embedder: Embedder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Law: stopped by one process and lost by another that died, a third gives the same gates."""
    monkeypatch.setattr(detector.adapt, "verdict", lambda *_: (True, "It helped"))
    with monkeypatch.context() as patch:
        patch.setattr(adaptation, "STEPS", FOREVER)
        with running(tmp_path, embedder) as client:
            identity = strict(submit(client, normals))["id"]
            under_way(client, identity)
    jobs = Storage.open(tmp_path).jobs
    released = jobs.get(identity)
    lost = jobs.claim("died", 0.0)
    assert (released.state, released.attempts) == ("queued", 0)
    assert lost is not None
    assert lost.id == identity

    with running(tmp_path, embedder) as client:
        job = ended(client, identity)
        content = client.get(f"/v1/jobs/{identity}/gates").content

    assert job["state"] == "succeeded"
    assert job["result"]["report"] == done.job["result"]["report"]
    assert hashlib.sha256(content).hexdigest() == done.job["result"]["sha256"]


def test_gates_go_with_their_job(tmp_path: Path) -> None:
    """Contract: whatever their age they stay as long as the job is known, and not longer."""
    storage = Storage.open(tmp_path)
    job, _ = storage.jobs.submit("adapt", "", "", {}, BY)
    storage.blobs.put(blob_of(job.id), b"gates")
    assert storage.jobs.claim("a", 30) is not None
    later = now() + timedelta(days=2)
    asyncio.run(sweep(storage, tmp_path / "incoming", job_days=7, moment=later))
    storage.jobs.finish(job.id, "a", "succeeded", result={})
    for days, left in ((2, [blob_of(job.id)]), (8, [])):
        later = now() + timedelta(days=days)
        asyncio.run(sweep(storage, tmp_path / "incoming", job_days=7, moment=later))
        assert storage.blobs.names("gates") == left
    storage.close()
