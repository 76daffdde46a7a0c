"""Jobs over HTTP: submitted, watched, cancelled, and how they end, whatever happens meanwhile."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from history_helpers import picture
from http_helpers import create, info, problem, strict
from job_helpers import Held, Life, cancelling, life, until
from key_helpers import BY
from sqlalchemy import update
from storage_helpers import Place

from app.errors import StorageUnavailableError
from app.jobs import ending, events, runner
from app.jobs.works import WORKS
from app.learning.collecting import CHUNK_IMAGES
from app.storage.jobs import Jobs
from app.storage.row_chunks import RowChunks
from app.storage.tables import JOBS, now
from app.storage.versions import Versions


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for jobs, progress and events often."""
    monkeypatch.setattr(runner, "IDLE_S", 0.05)
    monkeypatch.setattr(runner, "BEAT_S", 0.05)
    monkeypatch.setattr(events, "LOOK_S", 0.01)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Life]:
    """A service with a detector that knows nothing."""
    with life(tmp_path) as here:
        create(here.client, "bolts", scorer="fusion")
        yield here


def failed(job: dict[str, Any], status: int, kind: str) -> str:
    """Check that a job has failed with a problem of this status and kind; return its detail."""
    assert (job["state"], job["result"]) == ("failed", None)
    stem = "about:blank" if kind == "about:blank" else f"urn:gatewatch:problem:{kind}"
    assert (job["problem"]["type"], job["problem"]["status"]) == (stem, status)
    return str(job["problem"]["detail"])


def test_a_job_is_promised_watched_and_ended(here: Life) -> None:
    """Contract: 202 and where to look; how many of how many, how fast, how long; the result."""
    here.backbone.most = 8
    answer = here.submit("fit", range(20))
    assert answer.status_code == 202
    begun = strict(answer)
    assert answer.headers["location"] == f"/v1/jobs/{begun['id']}"
    assert (begun["kind"], begun["detector"], begun["state"]) == ("fit", "bolts", "queued")
    assert (begun["images"], begun["images_done"]) == (20, 0)
    nothing = ("started_at", "ended_at", "result", "problem", "images_per_second", "seconds_left")
    assert all(begun[name] is None for name in nothing)

    job = here.done(begun["id"], 8)
    assert (job["state"], job["images"], job["images_done"]) == ("running", 20, 8)
    assert job["images_per_second"] > 0
    assert job["seconds_left"] == pytest.approx(12 / job["images_per_second"])
    assert strict(here.client.get("/v1/jobs"))["jobs"][0]["id"] == begun["id"]

    here.backbone.let_go()
    job = here.ended(begun["id"])
    assert (job["state"], job["images_done"], job["seconds_left"]) == ("succeeded", 20, None)
    assert job["created_at"] <= job["started_at"] <= job["ended_at"]
    assert (job["result"]["fitted"], job["result"]["detector"]["version"]) == (20, 2)
    until(lambda: not here.uploads)
    for name, count in (("bolts", 1), ("nuts", 0)):
        listed = strict(here.client.get("/v1/jobs", params={"detector": name}))["jobs"]
        assert len(listed) == count


def test_an_idempotency_key_makes_one_job_of_two_requests(here: Life) -> None:
    """Contract: the same job, its images kept once; for another request the key is refused."""
    here.backbone.most = 0
    contents, headers = [picture(seed) for seed in range(5)], {"Idempotency-Key": "once"}
    first, second = (here.send("fit", contents, headers=headers) for _ in range(2))
    assert strict(second)["id"] == strict(first)["id"]
    assert second.headers["location"] == first.headers["location"]
    assert len(here.uploads) == 1
    others = [
        here.send("fit", contents[::-1], headers=headers),
        here.send("fit", contents, headers=headers, mode="extend"),
        here.send("fit", contents, headers=headers, promote="never"),
    ]
    for other in others:
        assert "new one" in problem(other, 422, "idempotency-conflict")["detail"]
    assert len(here.uploads) == 1
    here.backbone.let_go()
    assert here.ended(strict(first)["id"])["state"] == "succeeded"
    third = here.send("fit", contents, headers=headers)
    assert strict(third)["state"] == "succeeded"
    assert len(strict(here.client.get("/v1/jobs"))["jobs"]) == 1
    until(lambda: not here.uploads)
    assert len(here.versions()) == 2


def test_every_kind_of_job_knows_its_own_request_again(here: Life) -> None:
    """Contract: what is kept of a request compares equal to the request sent again."""
    assert here.ended(here.begun("fit", range(30), group="lot 1"))["state"] == "succeeded"
    normals = [("images", (f"{seed}.bmp", picture(seed))) for seed in range(100, 139)]
    calibration = {"files": normals, "params": {"target": 0.05, "review_target": 0.2}}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("calibrate", calibration),
        ("recalibrate", {"params": {"target": 0.1}}),
        ("replay", {"json": {"version": 3, "since": "2026-01-01T00:00:00Z"}}),
        ("forget", {"json": {"groups": ["lot 1"], "sha256": ["0" * 64]}}),
    ]
    for verb, body in asked:
        url, headers = f"/v1/detectors/bolts/{verb}", {"Idempotency-Key": verb}
        first, second = (here.client.post(url, headers=headers, **body) for _ in range(2))
        assert first.status_code == 202, first.text
        assert strict(second)["id"] == strict(first)["id"], verb
        here.ended(strict(first)["id"])


def streamed(here: Life, identity: str, last: str | None = None) -> list[dict[str, Any]]:
    """Return a job's events, once they have ended."""
    headers = {} if last is None else {"Last-Event-ID": last.encode()}
    answer = here.client.get(f"/v1/jobs/{identity}/events", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        found.append(lines | {"data": json.loads(lines["data"])})
    return found


def test_events_tell_of_a_job_until_its_end(here: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: each is the whole job under a rising id; the last one says that it has ended."""
    here.backbone.most = 8
    identity = here.begun("fit", range(20))
    found: list[dict[str, Any]] = []
    told, tell = threading.Event(), events._event
    monkeypatch.setattr(events, "_event", lambda job: (tell(job), told.set())[0])
    watcher = threading.Thread(target=lambda: found.extend(streamed(here, identity)))
    watcher.start()
    here.done(identity, 8)
    assert told.wait(60)
    here.backbone.let_go()
    watcher.join(60)
    assert [each["event"] for each in found] == ["progress"] * (len(found) - 1) + ["end"]
    assert len(found) > 1
    numbers = [int(each["id"]) for each in found]
    assert numbers == sorted(set(numbers))
    assert {each["data"]["id"] for each in found} == {identity}
    assert found[-1]["data"] == here.job(identity)
    assert found[-1]["data"]["state"] == "succeeded"


@pytest.mark.parametrize(
    "last", [None, "", "1", "99999", "-1", "x", "\u00b2", "9" * 5000, "1e9", "\u0661"]
)
def test_who_comes_back_late_is_told_the_end(here: Life, last: str | None) -> None:
    """Contract: whatever was seen last, be it an id that never was; also the end itself."""
    identity = here.begun("fit", range(5))
    job = here.ended(identity)
    for seen in (last, str(here.storage.jobs.get(identity).sequence)):
        (only,) = streamed(here, identity, seen)
        assert (only["event"], only["data"]) == ("end", job)


@pytest.mark.parametrize(("last", "is_told"), [("2", False), ("1", True), ("7", True), ("", True)])
def test_what_was_seen_is_not_sent_again(tmp_path: Path, last: str, is_told: bool) -> None:
    """Contract: of a job that goes on, the event of that id is left out; what follows is not."""

    async def watch(jobs: Jobs) -> None:
        identity = jobs.submit("fit", "b" * 32, "bolts", {}, BY)[0].id
        assert jobs.claim("one", 60) is not None
        told = events.events(jobs, identity, last)
        first = asyncio.create_task(anext(told))
        if is_told:
            assert ((await first).event, first.result().id) == ("progress", "2")
            first = asyncio.create_task(anext(told))
        await asyncio.sleep(0.1)
        assert not first.done()
        jobs.renew(identity, "one", 60, done=1, total=2)
        assert ((await first).event, first.result().id) == ("progress", "3")
        jobs.finish(identity, "one", "cancelled")
        assert [event.event async for event in told] == ["end"]

    with Place(tmp_path).opened() as storage:
        asyncio.run(watch(storage.jobs))


def test_an_unknown_job_is_a_problem(here: Life) -> None:
    """Contract: 404 on every way to it, 422 for what can be no id."""
    address = f"/v1/jobs/{'0' * 32}"
    for answer in (
        here.client.get(address),
        here.client.delete(address),
        here.client.get(f"{address}/events"),
    ):
        assert "0000" in problem(answer, 404, "unknown-job")["detail"]
    assert here.client.get("/v1/jobs/nonsense").status_code == 422


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


def test_jobs_of_a_detector_build_on_one_another(here: Life) -> None:
    """Law: in order of submission; each begins with what the one before it has made."""
    here.backbone.most = 0
    ids = [here.begun("fit", range(20))]
    ids += [here.begun("fit", range(at, at + 5), mode="extend") for at in (20, 25)]
    until(lambda: here.job(ids[0])["state"] == "running")
    assert [here.job(each)["state"] for each in ids] == ["running", "queued", "queued"]
    here.backbone.let_go()
    results = [here.ended(each)["result"]["detector"] for each in ids]
    assert [(each["version"], each["fitted_images"]) for each in results] == [
        (2, 20),
        (3, 25),
        (4, 30),
    ]
    assert [version["parent"] for version in here.versions()] == [None, 1, 2, 3]


def test_other_detectors_do_not_wait(here: Life) -> None:
    """Contract: as long as the process may work on more at once."""
    create(here.client, "nuts")
    here.backbone.most = 4
    held = here.begun("fit", range(20))
    here.done(held, 1)
    other = strict(here.send("fit", [b"no image"], "nuts"))["id"]
    assert here.ended(other)["state"] == "failed"
    assert here.job(held)["state"] == "running"


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


def test_stopping_does_not_wait_for_a_backbone_that_hangs(tmp_path: Path) -> None:
    """Contract: a service that is stopped while its backbone hangs leaves its job in line."""
    with life(tmp_path, Held(most=0)) as here:
        create(here.client, "bolts")
        identity = here.begun("fit", range(3))
        until(lambda: here.job(identity)["state"] == "running")
        here.stop_jobs()
        assert here.storage.jobs.get(identity).state == "queued"
