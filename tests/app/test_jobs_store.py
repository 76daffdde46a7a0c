"""Jobs as rows, on SQLite and on PostgreSQL: one of a request, cancelled, numbered and listed."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from job_store_helpers import BOLTS, LEASE_S, NUTS, by_hand, claimed, submitted
from key_helpers import BY, Clock
from storage_helpers import at_once

from app.errors import IdempotencyConflictError, JobEndedError, UnknownJobError
from app.storage.audit import Audit, By
from app.storage.database import Database
from app.storage.jobs import Jobs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that leases are measured with, moved by hand."""
    return by_hand(monkeypatch)


@pytest.fixture
def jobs(databases: list[Database]) -> Jobs:
    return Jobs(databases[0])


ASKED: dict[str, Any] = {
    "kind": "fit",
    "detector_id": BOLTS,
    "detector": "bolts",
    "parameters": {"promote": "auto", "base": None, "targets": [0.1, 0.01]},
    "by": BY,
    "body_sha256": "1" * 64,
    "idempotency_key": "key-1",
}


@pytest.mark.parametrize(
    "other",
    [
        {"body_sha256": "2" * 64},
        {"parameters": {"promote": "never"}},
        {"by": By("somebody else")},
        {"kind": "extend"},
        {"detector_id": NUTS},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_key_stands_for_one_request(jobs: Jobs, other: dict[str, Any]) -> None:
    """Contract: the same one gives its job, in whatever state it is; any other is refused."""
    job, is_new = jobs.submit(**ASKED, spool_blob="jobs/1.zip", total=3)
    assert is_new
    again = {**ASKED, "by": By(BY.who, "another reason", "request-2")}
    assert jobs.submit(**again, spool_blob="jobs/2.zip", total=3) == (job, False)
    assert claimed(jobs) == job.id
    jobs.finish(job.id, "one", "succeeded", result={"answer": 42})
    assert jobs.submit(**again) == (jobs.get(job.id), False)
    with pytest.raises(IdempotencyConflictError, match="new one"):
        jobs.submit(**ASKED | other)
    assert len(jobs.latest()) == 1
    for _ in range(2):  # without a key every request is one of its own
        assert jobs.submit(**ASKED | {"idempotency_key": None})[1]


def test_of_the_same_request_sent_at_once_one_makes_a_job(databases: list[Database]) -> None:
    """Law: whoever takes them in; and it is said once in the audit."""
    stores = [Jobs(database) for database in databases]
    outcomes = at_once([partial(stores[turn % 2].submit, **ASKED) for turn in range(8)])
    assert sorted(is_new for _, is_new in outcomes) == [False] * 7 + [True]
    (job,) = stores[0].latest()
    assert {found.id for found, _ in outcomes} == {job.id}
    lines = Audit(databases[0]).lines()
    assert [(line.action, line.subject, line.after["job"]) for line in lines] == [
        ("job.fit", "bolts", job.id)
    ]


def test_cancel(databases: list[Database]) -> None:
    """Contract: at once if it waits; asked for if it runs; refused if it has ended; audited."""
    jobs, by = Jobs(databases[0]), By("boss", "wrong images", "request-9")
    first, second = submitted(jobs), submitted(jobs)
    assert claimed(jobs) == first.id

    gone = jobs.cancel(second.id, by)
    assert (gone.state, gone.cancel_requested, gone.problem) == ("cancelled", True, None)
    assert gone.ended
    assert gone.ended_at is not None

    asked = jobs.cancel(first.id, by)
    assert (asked.state, asked.cancel_requested, asked.ended_at) == ("running", True, None)
    assert jobs.renew(first.id, "one", LEASE_S, done=0, total=0)
    jobs.finish(first.id, "one", "cancelled")
    assert claimed(jobs) is None

    before = jobs.latest()
    for job in (first, second):
        with pytest.raises(JobEndedError, match=r"ended already: cancelled"):
            jobs.cancel(job.id, by)
    with pytest.raises(UnknownJobError, match="no job '0000"):
        jobs.cancel("0" * 32, by)
    assert jobs.latest() == before
    lines = [line for line in Audit(databases[0]).lines() if line.action == "job.cancel"]
    assert [(line.before["job"], line.who, line.reason) for line in lines] == [
        (second.id, "boss", "wrong images"),
        (first.id, "boss", "wrong images"),
    ]


def test_a_cancelled_job_that_lost_its_process_says_so_when_it_is_claimed(
    jobs: Jobs, clock: Clock
) -> None:
    """Contract: that it shall be cancelled is not forgotten, whether put back or left."""
    job = submitted(jobs)
    assert claimed(jobs) == job.id
    jobs.cancel(job.id, BY)
    jobs.release(job.id, "one")
    for _ in range(2):
        found = jobs.claim("two", LEASE_S)
        assert found is not None
        assert found.cancel_requested
        clock.s += LEASE_S + 1


def test_every_change_that_can_be_seen_has_a_higher_number(jobs: Jobs) -> None:
    """Law: so that a watcher who has seen a number has seen all up to it."""
    job = submitted(jobs)
    changes: list[Callable[[], object]] = [
        partial(jobs.claim, "one", LEASE_S),
        partial(jobs.renew, job.id, "one", LEASE_S, done=1, total=5),
        partial(jobs.release, job.id, "one"),
        partial(jobs.claim, "two", LEASE_S),
        partial(jobs.release_all, "two"),
        partial(jobs.claim, "two", LEASE_S),
        partial(jobs.cancel, job.id, BY),
        partial(jobs.finish, job.id, "two", "cancelled"),
    ]
    numbers = [job.sequence]
    for change in changes:
        change()
        numbers.append(jobs.get(job.id).sequence)
    assert numbers == sorted(set(numbers))
    with pytest.raises(UnknownJobError):
        jobs.get("0" * 32)


def test_the_latest_jobs(jobs: Jobs, clock: Clock) -> None:
    """Contract: newest first, of one detector if asked, at most so many."""
    ids = []
    for detector in (BOLTS, NUTS, BOLTS, NUTS, BOLTS):
        clock.s += 1
        ids.append(submitted(jobs, detector).id)
    assert [job.id for job in jobs.latest()] == ids[::-1]
    assert [job.id for job in jobs.latest(limit=2)] == ids[:-3:-1]
    assert [job.id for job in jobs.latest(detector="nuts")] == [ids[3], ids[1]]
    assert [job.id for job in jobs.latest(detector="nuts", limit=1)] == [ids[3]]
    assert jobs.latest(detector="screws") == []
    assert jobs.latest(limit=1)[0].created_at - jobs.get(ids[0]).created_at == timedelta(seconds=4)
