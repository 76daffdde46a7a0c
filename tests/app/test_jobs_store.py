"""Jobs as rows, on SQLite and on PostgreSQL: who works on what, and what is kept of it."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from key_helpers import BY, Clock, opened
from storage_helpers import at_once

from app.errors import IdempotencyConflictError, JobEndedError, LeaseLostError, UnknownJobError
from app.storage.audit import Audit, By
from app.storage.database import Database
from app.storage.jobs import Job, Jobs

LEASE_S = 30.0
BOLTS, NUTS = "b" * 32, "c" * 32
"""Ids of two detectors."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that leases are measured with, moved by hand."""
    clock = Clock()
    for module in ("jobs", "leases"):
        monkeypatch.setattr(f"app.storage.{module}.now", clock.moment)
    return clock


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    """One empty database of each kind, opened twice, as two processes do."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with ExitStack() as stack:
        yield [stack.enter_context(opened(tmp_path, url)) for _ in range(2)]


@pytest.fixture
def jobs(databases: list[Database]) -> Jobs:
    return Jobs(databases[0])


def submitted(jobs: Jobs, detector: str = BOLTS, **more: Any) -> Job:
    name = {BOLTS: "bolts", NUTS: "nuts"}.get(detector, detector[:8])
    return jobs.submit("fit", detector, name, {"promote": "auto"}, BY, **more)[0]


def claimed(jobs: Jobs, owner: str = "one") -> str | None:
    job = jobs.claim(owner, LEASE_S)
    return None if job is None else job.id


def test_the_oldest_comes_first_and_a_detector_has_one_at_a_time(jobs: Jobs, clock: Clock) -> None:
    """Contract: another detector's job does not wait; the next one's turn comes at the end."""
    ids = []
    for detector in (BOLTS, BOLTS, NUTS, BOLTS):
        clock.s += 1
        ids.append(submitted(jobs, detector).id)
    assert [claimed(jobs) for _ in range(3)] == [ids[0], ids[2], None]
    jobs.finish(ids[0], "one", "failed", problem={"detail": "no"})
    assert [claimed(jobs, "two"), claimed(jobs)] == [ids[1], None]
    jobs.release(ids[1], "two")
    assert [claimed(jobs), claimed(jobs)] == [ids[1], None]
    jobs.finish(ids[1], "one", "succeeded", result={})
    assert [claimed(jobs), claimed(jobs)] == [ids[3], None]


def test_each_job_is_claimed_once_whoever_claims(databases: list[Database]) -> None:
    """Law: of many threads of two processes, one gets a job; a detector's jobs keep their order."""
    stores = [Jobs(database) for database in databases]
    detectors = [letter * 32 for letter in "abcd"]
    expected = {each: [] for each in detectors}
    for turn in range(24):
        detector = detectors[turn % 4]
        expected[detector].append(submitted(stores[turn % 2], detector).id)
    lock, busy, order = threading.Lock(), set(), defaultdict(list)

    def work(place: int) -> None:
        store, owner = stores[place % 2], f"owner-{place}"
        while True:
            job = store.claim(owner, LEASE_S)
            if job is None:
                with lock:
                    if sum(map(len, order.values())) == 24:
                        return
                continue
            with lock:
                assert job.detector_id not in busy
                assert job.attempts == 1
                busy.add(job.detector_id)
                order[job.detector_id].append(job.id)
            assert not store.renew(job.id, owner, LEASE_S, done=1, total=1)
            with lock:  # before another may claim the next one
                busy.discard(job.detector_id)
            store.finish(job.id, owner, "succeeded", result={})

    outcomes = at_once([partial(work, place) for place in range(6)])
    assert outcomes == [None] * 6
    assert order == expected


VERBS: dict[str, Callable[[Jobs, str, str], object]] = {
    "renew": lambda jobs, job, owner: jobs.renew(job, owner, LEASE_S, done=1, total=2),
    "pin": lambda jobs, job, owner: jobs.pin(job, owner, base=1, serving=1),
    "finish": lambda jobs, job, owner: jobs.finish(job, owner, "succeeded", result={}),
    "release": lambda jobs, job, owner: jobs.release(job, owner),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_lease_that_has_run_out_is_lost_once_another_has_it(
    databases: list[Database], clock: Clock, verb: str
) -> None:
    """Contract: not before it runs out; then the first owner can do nothing to the job."""
    here, there = map(Jobs, databases)
    job = submitted(here)
    assert claimed(here, "one") == job.id
    clock.s += LEASE_S - 1
    assert claimed(there, "two") is None
    here.renew(job.id, "one", LEASE_S, done=0, total=2)  # even late, as long as nobody has it
    clock.s += LEASE_S - 1
    assert claimed(there, "two") is None
    clock.s += 2
    assert claimed(there, "two") == job.id
    before = here.get(job.id)
    assert (before.attempts, before.state) == (2, "running")
    with pytest.raises(LeaseLostError, match=job.id):
        VERBS[verb](here, job.id, "one")
    here.release_all("one")
    assert here.get(job.id) == before
    VERBS[verb](there, job.id, "two")
    assert here.get(job.id) != before


def test_late_with_a_lease_a_process_does_not_take_its_own_job_for_dead(
    jobs: Jobs, clock: Clock
) -> None:
    """Contract: what it works on is not claimed by itself; what it has left is, and by others."""
    job = submitted(jobs)
    assert claimed(jobs, "one") == job.id
    clock.s += LEASE_S + 1
    assert jobs.claim("one", LEASE_S, [job.id]) is None
    other = submitted(jobs, NUTS)
    found = jobs.claim("one", LEASE_S, [job.id])
    assert found is not None
    assert found.id == other.id
    assert claimed(jobs, "one") == job.id
    clock.s += LEASE_S + 1
    found = jobs.claim("two", LEASE_S, [other.id])
    assert found is not None
    assert found.id == job.id


@pytest.mark.parametrize("verb", VERBS)
def test_what_waits_or_has_ended_is_nobodys(jobs: Jobs, verb: str) -> None:
    """Contract: only who runs a job changes it; a job of no id is nobody's, too."""
    waiting = submitted(jobs)
    with pytest.raises(LeaseLostError):
        VERBS[verb](jobs, waiting.id, "one")
    assert claimed(jobs) == waiting.id
    jobs.finish(waiting.id, "one", "failed", problem={"detail": "no"})
    ended = jobs.get(waiting.id)
    for identity in (waiting.id, "0" * 32):
        with pytest.raises(LeaseLostError):
            VERBS[verb](jobs, identity, "one")
    assert jobs.get(waiting.id) == ended


def test_what_is_put_back_has_not_failed(jobs: Jobs, clock: Clock) -> None:
    """Contract: releasing counts as no attempt, running out of lease does; base and place stay."""
    job = submitted(jobs)
    clock.s += 1
    submitted(jobs)
    for _ in range(5):
        found = jobs.claim("one", LEASE_S)
        assert found is not None
        assert (found.id, found.attempts) == (job.id, 1)
        jobs.pin(job.id, "one", base=7, serving=5)
        jobs.release(job.id, "one")
        back = jobs.get(job.id)
        assert (back.state, back.attempts, back.base, back.serving) == ("queued", 0, 7, 5)
    for attempts in (1, 2, 3):
        found = jobs.claim("one", LEASE_S)
        assert found is not None
        assert (found.id, found.attempts, found.base) == (job.id, attempts, 7)
        clock.s += LEASE_S + 1


def test_a_process_that_stops_puts_back_its_own_jobs(jobs: Jobs) -> None:
    """Contract: all of them, and no other's."""
    mine = [submitted(jobs, letter * 32).id for letter in "abc"]
    assert [claimed(jobs, "one") for _ in mine] == mine
    jobs.finish(mine[2], "one", "succeeded", result={})
    other = submitted(jobs, "d" * 32).id
    assert claimed(jobs, "two") == other
    jobs.release_all("one")
    states = {job.id: (job.state, job.attempts) for job in jobs.latest()}
    assert states == {
        mine[0]: ("queued", 0),
        mine[1]: ("queued", 0),
        mine[2]: ("succeeded", 1),
        other: ("running", 1),
    }


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
