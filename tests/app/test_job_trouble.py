"""Jobs whose service is in trouble, slow or about to stop: each is done, and done once."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from http_helpers import create
from job_helpers import Held, Life, life, until
from sqlalchemy import update

from app.clock import now
from app.errors import StorageUnavailableError
from app.storage.jobs import Jobs
from app.storage.tables import JOBS


@pytest.mark.parametrize(
    "error", [StorageUnavailableError("gone"), RuntimeError("broken"), OSError("no disk")]
)
def test_the_line_of_jobs_survives_its_database(
    here: Life,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """Contract: whatever claiming raises, it is logged, and claimed again a little later."""
    claim, left = Jobs.claim, [error] * 3

    def sometimes(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return claim(*arguments)

    monkeypatch.setattr(Jobs, "claim", sometimes)
    assert here.ended(here.begun("fit", range(3)))["state"] == "succeeded"
    assert left == []
    assert caplog.text.count("no job can be claimed") == 3


@pytest.mark.parametrize("where", ["made", "renew", "finish"])
def test_what_breaks_while_a_job_runs_is_tried_again(
    here: Life, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Contract: once its lease has run out, by whoever is there; nothing is done twice."""
    original, left = getattr(Jobs, where), [RuntimeError("broken")]

    def once(*arguments: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return original(*arguments, **named)

    monkeypatch.setattr(Jobs, where, once)
    identity = here.begun("fit", range(3))
    assert here.ended(identity)["state"] == "succeeded"
    assert here.storage.jobs.get(identity).attempts == 2
    assert len(here.versions()) == 2


def test_a_slow_process_does_not_run_its_own_job_twice(
    here: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: with all its leases run out, a process that is alive goes on with what it does."""
    renew = Jobs.renew
    monkeypatch.setattr(Jobs, "renew", lambda *_, **__: False)
    here.backbone.most = 3
    identity = here.begun("fit", range(9))
    until(lambda: here.job(identity)["state"] == "running")
    lapsed = update(JOBS).values(lease_until=now() - timedelta(seconds=9))
    with here.storage.database.write() as connection:
        connection.execute(lapsed)
    looked = threading.Event()
    claim = Jobs.claim
    monkeypatch.setattr(Jobs, "claim", lambda *each: (claim(*each), looked.set())[0])
    assert looked.wait(60)
    monkeypatch.setattr(Jobs, "renew", renew)
    here.backbone.let_go()
    assert here.ended(identity)["state"] == "succeeded"
    assert here.storage.jobs.get(identity).attempts == 1
    assert here.backbone.images == 9


def test_a_job_claimed_while_the_process_stops_is_put_back(
    here: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: no job is left to a process that is no more."""
    claim, claiming, go = Jobs.claim, threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Any:
        claiming.set()
        assert go.wait(60)
        return claim(*arguments)

    monkeypatch.setattr(Jobs, "claim", slowly)
    assert claiming.wait(60)
    identity = here.begun("fit", range(3))
    here.stop_jobs(go.set)
    found = here.storage.jobs.get(identity)
    assert (found.state, found.attempts) == ("queued", 0)
    assert found.sequence == 3  # it was claimed, and put back


@pytest.mark.usefixtures("impatience")
def test_stopping_does_not_wait_for_a_backbone_that_hangs(tmp_path: Path) -> None:
    """Contract: a service that is stopped while its backbone hangs leaves its job in line."""
    with life(tmp_path, Held(most=0)) as here:
        create(here.client, "bolts")
        identity = here.begun("fit", range(3))
        until(lambda: here.job(identity)["state"] == "running")
        here.stop_jobs()
        assert here.storage.jobs.get(identity).state == "queued"
