"""The list of jobs: page by page, and without what may be long."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from http_helpers import create, problem, strict
from job_helpers import Life, life
from key_helpers import BY, Clock, opened

from app.storage.cursor import Cursor
from app.storage.jobs import Jobs


@pytest.fixture(params=["sqlite", "postgresql"])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jobs]:
    """No jobs yet."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with ExitStack() as stack:
        yield Jobs(stack.enter_context(opened(tmp_path, url)))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Life]:
    with life(tmp_path) as here:
        yield here


def test_pages_make_up_the_whole(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: every job once, newest first, also of the same moment, whatever comes meanwhile."""
    clock = Clock()
    monkeypatch.setattr("app.storage.jobs.now", clock.moment)
    for turn in range(9):
        clock.s += turn % 3 == 0
        jobs.submit("fit", "b" * 32, "bolts", {}, BY)
    whole = [job.id for job in jobs.latest()]
    found, cursor = [], None
    while page := jobs.latest(detector="bolts", limit=2, cursor=cursor):
        found += [job.id for job in page]
        cursor = Cursor(page[-1].created_at, page[-1].id)
        clock.s += 1
        jobs.submit("fit", "b" * 32, "bolts", {}, BY)
    assert found == whole
    moments = [job.created_at for job in jobs.latest()]
    assert moments == sorted(moments, reverse=True)
    assert moments[0] - moments[-1] > timedelta(0)


def test_the_list_is_read_on_from_where_it_ended(here: Life) -> None:
    """Contract: results are at each job's own address; ``next`` leads on, none at the end."""
    create(here.client, "bolts")
    ids = [here.begun("fit", range(3)) for _ in range(3)]
    for identity in ids:
        assert here.ended(identity)["result"] is not None
    found, query = [], {"limit": 2}
    for expected in (2, 1):
        page = strict(here.client.get("/v1/jobs", params=query))
        assert len(page["jobs"]) == expected
        assert not any({"result", "parameters"} & each.keys() for each in page["jobs"])
        found += [each["id"] for each in page["jobs"]]
        query = {"limit": 2, "cursor": page["next"]}
    assert page["next"] is None
    assert found == ids[::-1]
    wrong = here.client.get("/v1/jobs", params={"cursor": "yesterday"})
    problem(wrong, 422, "invalid-request")
