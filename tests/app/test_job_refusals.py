"""What is refused when a job is submitted, before its images are read or kept."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from http_helpers import create, problem, strict
from job_helpers import Life, cancelling, life, until
from key_helpers import bearer
from storage_helpers import BY

from app.access.credentials import Role
from app.jobs import runner
from app.storage.directories import DirectoryBlobs
from app.storage.keys import Keys

ADDRESS = "/v1/detectors/bolts"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Life]:
    """A service with a detector that is fitted."""
    with life(tmp_path) as here:
        create(here.client, "bolts")
        assert here.ended(here.begun("fit", range(10)))["state"] == "succeeded"
        yield here


@pytest.mark.parametrize("verb", ["fit", "calibrate", "recalibrate", "forget"])
def test_an_unknown_base_is_refused_before_the_body_is_read(here: Life, verb: str) -> None:
    """Contract: 404, though the body is no archive; nothing is kept."""
    headers = {"content-type": "application/zip"}
    body: dict[str, Any] = {"content": b"no archive", "headers": headers}
    if verb == "forget":
        body = {"json": {"groups": ["lot 1"]}}
    answer = here.client.post(f"{ADDRESS}/{verb}", params={"base": 99}, **body)
    told = problem(answer, 404, "unknown-version")
    assert "the latest is 2" in told["detail"]
    assert here.uploads == []


@pytest.mark.parametrize("verb", ["calibrate", "forget"])
def test_a_base_that_was_never_fitted_is_refused(here: Life, verb: str) -> None:
    """Contract: 409 at once, though the tip is fitted."""
    body: dict[str, Any] = {"json": {"groups": ["lot 1"]}} if verb == "forget" else {}
    answer = here.client.post(f"{ADDRESS}/{verb}", params={"base": 1}, **body)
    problem(answer, 409, "not-fitted")


@pytest.mark.parametrize("body", [{}, {"sha256": [], "groups": []}])
def test_to_forget_nothing_is_refused(here: Life, body: dict[str, Any]) -> None:
    """Contract: 422 at once, saying what to name; there is no job of it."""
    told = problem(here.client.post(f"{ADDRESS}/forget", json=body), 422, "invalid-request")
    assert "by sha256 or by groups" in told["detail"]
    assert len(strict(here.client.get("/v1/jobs"))["jobs"]) == 1


def test_who_fits_puts_nothing_in_service_by_force(here: Life) -> None:
    """Contract: promote=always takes an admin; auto, which loses no threshold, does not."""
    keys = Keys(here.storage.database)
    keyed = {
        role: bearer(keys.create(BY, role.value, role).text) for role in (Role.ADMIN, Role.FIT)
    }
    forget = {"json": {"groups": ["lot 1"]}}
    for verb, query, body in (
        ("fit", {}, {}),
        ("fit", {"mode": "extend"}, {}),
        ("forget", {}, forget),
    ):
        asked = {"params": {**query, "promote": "always"}, "headers": keyed[Role.FIT], **body}
        told = problem(here.client.post(f"{ADDRESS}/{verb}", **asked), 403, "role-too-low")
        assert "promote=always needs a key of role 'admin'" in told["detail"]
        admitted = here.client.post(f"{ADDRESS}/{verb}", **asked | {"headers": keyed[Role.ADMIN]})
        assert admitted.status_code != 403
    auto = here.client.post(f"{ADDRESS}/forget", headers=keyed[Role.FIT], **forget)
    assert auto.status_code == 202, auto.text
    problem(here.client.delete(ADDRESS, headers=keyed[Role.FIT]), 403, "role-too-low")


def test_images_that_are_just_being_fetched_are_let_go_of(
    here: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: cancelled while they are downloaded, a job closes what it has opened by then."""
    monkeypatch.setattr(runner, "BEAT_S", 0.05)
    opening, go, open_now = threading.Event(), threading.Event(), []
    open_local = DirectoryBlobs.open_local

    @contextmanager
    def slowly(*asked: Any) -> Iterator[Path]:
        opening.set()
        assert go.wait(60)
        with open_local(*asked) as path:
            open_now.append(path)
            try:
                yield path
            finally:
                open_now.remove(path)

    monkeypatch.setattr(DirectoryBlobs, "open_local", slowly)
    identity = here.begun("fit", range(5))
    assert opening.wait(60)
    here.client.delete(f"/v1/jobs/{identity}")
    until(cancelling(monkeypatch))
    go.set()
    assert here.ended(identity)["state"] == "cancelled"
    until(lambda: not here.uploads)
    assert open_now == []
