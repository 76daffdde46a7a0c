"""Jobs that fail: with which problem, and what is left of them."""

import threading
from pathlib import Path
from typing import Any

import pytest
from history_helpers import picture
from http_helpers import create, info, strict
from job_helpers import Life, streamed, until

from app.jobs import ending
from app.jobs.works import WORKS
from app.learning.collecting import CHUNK_IMAGES
from app.storage.row_chunks import RowChunks


def failed(job: dict[str, Any], status: int, kind: str) -> str:
    """Check that a job has failed with a problem of this status and kind; return its detail."""
    assert (job["state"], job["result"]) == ("failed", None)
    stem = "about:blank" if kind == "about:blank" else f"urn:gatewatch:problem:{kind}"
    assert (job["problem"]["type"], job["problem"]["status"]) == (stem, status)
    return str(job["problem"]["detail"])


def test_what_is_no_image_is_listed_and_not_fatal(here: Life) -> None:
    """Contract: each with its problem, in order; if nothing is left, the job says why."""
    bad = {"1.bmp": b"", "3.bmp": b"no image", "5.bmp": picture(1)[:200]}
    contents = [picture(0), b"", picture(2), b"no image", picture(4), picture(1)[:200]]
    answer = here.send("fit", contents)
    result = here.ended(strict(answer)["id"])["result"]
    assert result["fitted"] == 3
    assert [each["name"] for each in result["rejected"]] == list(bad)
    for each in result["rejected"]:
        assert each["problem"]["type"] == "urn:gatewatch:problem:undecodable-image"
        assert (each["problem"]["status"], bool(each["problem"]["detail"])) == (422, True)

    answer = here.send("fit", list(bad.values()))
    detail = failed(here.ended(strict(answer)["id"]), 422, "no-images")
    assert "none of 3 image(s)" in detail
    assert "'0.bmp'" in detail
    until(lambda: not here.uploads)
    assert len(here.versions()) == 2


@pytest.mark.parametrize("anew", [False, True], ids=["deleted", "anew"])
@pytest.mark.parametrize("base", [None, 1])
def test_a_job_does_not_outlive_its_detector(here: Life, anew: bool, base: int | None) -> None:
    """Contract: waiting or running it fails and says so; another of the name is not touched."""
    here.backbone.most = CHUNK_IMAGES + 6
    asked = {} if base is None else {"base": base}
    running = here.begun("fit", range(CHUNK_IMAGES + 30), **asked)
    waiting = here.begun("fit", range(5), **asked)
    until(lambda: here.rows)
    assert here.client.delete("/v1/detectors/bolts").status_code == 204
    if anew:
        create(here.client, "bolts", scorer="fusion")
    here.backbone.let_go()
    for identity in (running, waiting):
        detail = failed(here.ended(identity), 404, "unknown-detector")
        assert "'bolts' was deleted after this job was submitted" in detail
        assert "submit the job again" in detail
    until(lambda: not here.uploads and not here.rows)
    if anew:
        assert [version["version"] for version in here.versions()] == [1]
        assert info(here.client, "bolts")["state"] == "created"
        assert here.ended(here.begun("fit", range(5)))["state"] == "succeeded"


def test_a_forgetting_does_not_outlive_its_detector(
    here: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: rows that went with the detector are no damaged store."""
    assert here.ended(here.begun("fit", range(20), group="lot 1"))["state"] == "succeeded"
    more = here.begun("fit", range(20, 30), group="lot 2", mode="extend")
    assert here.ended(more)["state"] == "succeeded"
    read, began, go = RowChunks.read, threading.Event(), threading.Event()

    def late(*arguments: Any) -> Any:
        began.set()
        assert go.wait(60)
        return read(*arguments)

    monkeypatch.setattr(RowChunks, "read", late)
    answer = here.client.post("/v1/detectors/bolts/forget", json={"groups": ["lot 2"]})
    assert began.wait(60)
    assert here.client.delete("/v1/detectors/bolts").status_code == 204
    go.set()
    detail = failed(here.ended(strict(answer)["id"]), 404, "unknown-detector")
    assert "was deleted" in detail


def test_an_unexpected_failure_is_told_to_the_log_only(
    here: Life, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: a generic problem that names no secret, path or line; the log has the cause."""

    async def broken(*_: Any) -> Any:
        raise RuntimeError("password=hunter2 in /srv/secret")

    monkeypatch.setitem(WORKS, "fit", broken)
    identity = here.begun("fit", range(3))
    job = here.ended(identity)
    assert "log" in failed(job, 500, "about:blank")
    assert job["problem"] == ending.FAILED
    told = here.client.get(f"/v1/jobs/{identity}").text + repr(streamed(here, identity))
    assert not any(word in told for word in ("hunter2", "/srv", "RuntimeError", str(Path.cwd())))
    assert "hunter2" in caplog.text
    assert f"job {identity} failed" in caplog.text
    until(lambda: not here.uploads)
