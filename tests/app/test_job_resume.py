"""Law: a job goes on where its process stopped or died, and ends as if nothing had happened."""

from pathlib import Path
from typing import Any

import pytest
from http_helpers import create
from job_helpers import Held, Life, life, until
from key_helpers import BY
from sqlalchemy import update

from app.errors import StorageUnavailableError
from app.jobs import runner
from app.learning.collecting import CHUNK_IMAGES
from app.storage.jobs import MOST_ATTEMPTS, Jobs
from app.storage.tables import JOBS

COUNT = 2 * CHUNK_IMAGES + 12
"""Images of a job: two whole chunks and a part of one."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for jobs and progress often."""
    monkeypatch.setattr(runner, "IDLE_S", 0.05)
    monkeypatch.setattr(runner, "BEAT_S", 0.05)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else None


def kill(here: Life, patch: pytest.MonkeyPatch) -> None:
    """Stop working on jobs without a word, as a process does that is killed."""
    patch.setattr(Jobs, "release_all", lambda *_: None)
    here.stop_jobs()


def lose(here: Life, patch: pytest.MonkeyPatch, identity: str) -> None:
    """Let a job make its version, and its process die before it can say so."""

    def die(*_: Any, **__: Any) -> None:
        raise StorageUnavailableError("gone")

    patch.setattr(Jobs, "finish", die)
    until(lambda: here.storage.jobs.made(here.storage.jobs.get(identity)) is not None)
    kill(here, patch)


@pytest.mark.parametrize(
    ("verb", "death", "database"),
    [
        ("fit", "stopped", "sqlite"),
        ("fit", "killed", "sqlite"),
        ("fit", "killed", "postgresql"),
        ("extend", "killed", "sqlite"),
        ("calibrate", "stopped", "postgresql"),
        ("calibrate", "killed", "sqlite"),
    ],
    indirect=["database"],
)
def test_a_job_goes_on_after_what_it_has_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    death: str,
    database: str | None,
) -> None:
    """Law: nothing kept is embedded again, the scores are the same to the bit, one version."""
    asked = {"mode": "extend"} if verb == "extend" else {}
    with life(tmp_path / "other") as whole:
        _prepare(whole, verb)
        assert whole.ended(_begin(whole, verb, asked))["state"] == "succeeded"
        expected = (whole.scores(), [_told(each) for each in whole.versions()])

    directory = tmp_path / "this"
    with monkeypatch.context() as patch, life(directory, database=database) as here:
        known = _prepare(here, verb)
        rows = len(here.rows)
        here.backbone.most = here.backbone.images + CHUNK_IMAGES + 10
        identity = _begin(here, verb, asked)
        until(lambda: len(here.rows) == rows + 1)
        if death == "killed":
            kill(here, patch)
        else:
            here.stop_jobs()
        left = here.storage.jobs.get(identity)
        assert (left.state, left.attempts, left.base) == (
            ("running", 1, known) if death == "killed" else ("queued", 0, known)
        )
    with life(directory, database=database) as here:
        job = here.ended(identity)
        assert (job["state"], job["images_done"], job["images"]) == ("succeeded", COUNT, COUNT)
        assert here.backbone.images == COUNT - CHUNK_IMAGES
        assert (here.scores(), [_told(each) for each in here.versions()]) == expected
        until(lambda: not here.uploads)


def _prepare(here: Life, verb: str) -> int:
    """Create the detector, fitted if it has to be; return the version to build on."""
    create(here.client, "bolts", scorer="fusion")
    if verb == "fit":
        return 1
    assert here.ended(here.begun("fit", range(500, 530)))["state"] == "succeeded"
    return 2


def _begin(here: Life, verb: str, asked: dict[str, str]) -> str:
    return here.begun("calibrate" if verb == "calibrate" else "fit", range(COUNT), **asked)


def _told(version: dict[str, Any]) -> dict[str, Any]:
    """Return what a version says of itself, without the moment and the request."""
    return {key: version[key] for key in version if key not in ("created_at", "request_id")}


def test_stopped_again_and_again_it_still_ends(tmp_path: Path) -> None:
    """Law: stopping is no failure, however often; what was kept is never lost."""
    with life(tmp_path) as here:
        create(here.client, "bolts")
        here.backbone.most = 0
        identity = here.begun("fit", range(COUNT))
        until(lambda: here.job(identity)["state"] == "running")
    for _ in range(MOST_ATTEMPTS + 1):
        with life(tmp_path, Held(most=10)) as here:
            until(lambda: here.job(identity)["state"] == "running")
            here.stop_jobs()
            assert here.storage.jobs.get(identity).attempts == 0
    with life(tmp_path) as here:
        assert here.ended(identity)["state"] == "succeeded"
        assert here.backbone.images == COUNT


def test_what_kills_its_process_is_not_tried_for_ever(tmp_path: Path) -> None:
    """Contract: after some deaths the job fails, says why, and leaves nothing."""
    with life(tmp_path, Held(most=CHUNK_IMAGES + 5)) as here:
        create(here.client, "bolts")
        identity = here.begun("fit", range(COUNT))
        until(lambda: here.rows)
        here.stop_jobs()
        until(lambda: _died(here.storage.jobs) == MOST_ATTEMPTS)
    with life(tmp_path) as here:
        job = here.ended(identity)
        assert job["state"] == "failed"
        assert job["problem"]["type"] == "urn:gatewatch:problem:job-died"
        assert f"died {MOST_ATTEMPTS} times" in job["problem"]["detail"]
        until(lambda: not here.uploads and not here.rows)
        assert (here.backbone.images, len(here.versions())) == (0, 1)


@pytest.mark.parametrize("then", ["nothing", "cancel", "deaths"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_version_is_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, keep: bool
) -> None:
    """Law: made and not said so, it is said by the next process; its rows are there as listed."""
    with monkeypatch.context() as patch, life(tmp_path, keep_fitted_rows=keep) as here:
        create(here.client, "bolts")
        identity = here.begun("fit", range(70))
        lose(here, patch, identity)
        if then == "cancel":
            here.storage.jobs.cancel(identity, BY)
        if then == "deaths":
            until(lambda: _died(here.storage.jobs) == MOST_ATTEMPTS)
    with life(tmp_path, keep_fitted_rows=keep) as here:
        job = here.ended(identity)
        if then == "deaths":
            assert job["state"] == "failed"
            assert "Version 2 was made before" in job["problem"]["detail"]
        else:
            assert job["state"] == "succeeded"
            assert job["result"]["detector"]["version"] == 2
        assert here.backbone.images == 0
        assert [version["version"] for version in here.versions()] == [1, 2]
        until(lambda: not here.uploads)
        until(lambda: len(here.rows) == (2 if keep else 0))
        entry = here.storage.versions.entry("bolts", 2)
        named = {image.rows_blob for image in here.storage.versions.images(entry)}
        assert named == (set(here.rows) if keep else {""})


def _died(jobs: Jobs) -> int:
    """Let a job be claimed by a process that dies at once; return how often it was claimed."""
    job = jobs.claim("dead", lease_s=0)
    return 0 if job is None else job.attempts


def test_cancelled_before_its_process_died_it_is_not_run_again(tmp_path: Path) -> None:
    """Contract: it is cancelled by whoever claims it, and what it had is dropped."""
    with life(tmp_path, Held(most=CHUNK_IMAGES + 5)) as here:
        create(here.client, "bolts")
        identity = here.begun("fit", range(COUNT))
        until(lambda: here.rows)
        here.stop_jobs()
        assert _died(here.storage.jobs) == 1
        assert here.storage.jobs.cancel(identity, BY).state == "running"
    with life(tmp_path) as here:
        job = here.ended(identity)
        assert (job["state"], job["result"], job["problem"]) == ("cancelled", None, None)
        until(lambda: not here.uploads and not here.rows)
        assert (here.backbone.images, len(here.versions())) == (0, 1)


def test_a_job_that_another_process_has_taken_is_left_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: the first stops working on it, and touches nothing of it."""
    with life(tmp_path, Held(most=5)) as here:
        create(here.client, "bolts")
        identity = here.begun("fit", range(20))
        here.done(identity, 1)
        with here.storage.database.write() as connection:
            connection.execute(update(JOBS).values(lease_owner="another", done=17))
        until(lambda: "another process" in caplog.text)
        here.backbone.let_go()
        here.stop_jobs()
        found = here.storage.jobs.get(identity)
        assert (found.state, found.done) == ("running", 17)
        assert len(here.versions()) == 1
        assert len(here.uploads) == 1


def test_rows_of_another_backbone_are_made_anew(tmp_path: Path) -> None:
    """Law: a job taken up under other weights holds rows of those alone."""
    with life(tmp_path) as here:
        create(here.client, "bolts", scorer="fusion")
        here.backbone.most = CHUNK_IMAGES + 10
        identity = here.begun("fit", range(COUNT))
        until(lambda: len(here.rows) == 1)
        here.stop_jobs()
    other = Held()
    other.fingerprint = "0" * 64
    with life(tmp_path, backbone=other) as here:
        assert here.ended(identity)["state"] == "succeeded"
        assert here.backbone.images == COUNT
        assert len(here.rows) == 3
