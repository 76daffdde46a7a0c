"""Jobs over HTTP: submitted, known again, watched and ended, one after the other or beside."""

from typing import Any

import pytest
from history_helpers import picture
from http_helpers import create, problem, strict
from job_helpers import Life, until


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
