"""Cancelled jobs: how soon, when it is too late, and that nothing is left of them."""

import threading
from typing import Any

import pytest
from http_helpers import problem, strict
from job_helpers import Life, cancelling, until

from app.learning.collecting import CHUNK_IMAGES
from app.storage.row_chunks import RowChunks
from app.storage.versions import Versions


def test_a_running_job_is_cancelled(here: Life) -> None:
    """Contract: soon, without a version, and nothing is left of it; the detector goes on."""
    here.backbone.most = CHUNK_IMAGES + 6
    identity = here.begun("fit", range(CHUNK_IMAGES + 30))
    until(lambda: here.rows)
    answer = here.client.delete(f"/v1/jobs/{identity}")
    assert answer.status_code == 202
    assert strict(answer)["cancel_requested"]
    job = here.ended(identity)
    assert (job["state"], job["result"], job["problem"]) == ("cancelled", None, None)
    until(lambda: not here.rows and not here.uploads)
    again = here.client.delete(f"/v1/jobs/{identity}")
    assert "ended already: cancelled" in problem(again, 409, "job-ended")["detail"]
    here.backbone.let_go()
    assert here.ended(here.begun("fit", range(10)))["state"] == "succeeded"
    assert [version["parent"] for version in here.versions()] == [None, 1]
    assert len(here.rows) == 1
    text = here.client.get("/metrics").text
    assert 'gatewatch_jobs_total{kind="fit",state="cancelled"} 1.0' in text


def test_a_cancelled_job_keeps_no_rows_that_were_just_being_written(
    here: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a thread cannot be stopped; its end is waited for, and then what it wrote is dropped."""
    write, writing, go = RowChunks.write, threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Any:
        writing.set()
        assert go.wait(60)
        return write(*arguments)

    monkeypatch.setattr(RowChunks, "write", slowly)
    identity = here.begun("fit", range(5))
    assert writing.wait(60)
    here.client.delete(f"/v1/jobs/{identity}")
    until(cancelling(monkeypatch))
    assert not here.storage.jobs.get(identity).ended
    go.set()
    assert here.ended(identity)["state"] == "cancelled"
    until(lambda: not here.uploads)
    assert here.rows == []


def test_it_is_too_late_to_cancel_what_is_making_its_version(
    here: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a job says cancelled only if no version was made; the rows of one that was stay."""
    add, adding, go = Versions.add, threading.Event(), threading.Event()

    def slowly(*arguments: Any, **named: Any) -> Any:
        adding.set()
        assert go.wait(60)
        return add(*arguments, **named)

    monkeypatch.setattr(Versions, "add", slowly)
    identity = here.begun("fit", range(5))
    assert adding.wait(60)
    here.client.delete(f"/v1/jobs/{identity}")
    until(cancelling(monkeypatch))
    go.set()
    job = here.ended(identity)
    until(lambda: not here.uploads)
    assert (job["state"], job["cancel_requested"]) == ("succeeded", True)
    assert (len(here.versions()), len(here.rows)) == (2, 1)


def test_a_waiting_job_is_cancelled_at_once(here: Life) -> None:
    """Contract: its images are gone with it, and it never runs."""
    here.backbone.most = 0
    first, second = (here.begun("fit", range(start, start + 5)) for start in (0, 5))
    assert len(here.uploads) == 2
    answer = strict(here.client.delete(f"/v1/jobs/{second}"))
    assert (answer["state"], answer["images_done"]) == ("cancelled", 0)
    assert here.uploads == [f"jobs/{first}.zip"]
    here.backbone.let_go()
    assert here.ended(first)["state"] == "succeeded"
    assert len(here.versions()) == 2
    assert here.job(second)["state"] == "cancelled"
