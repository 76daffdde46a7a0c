"""Leases of jobs, on SQLite and on PostgreSQL: who works on what, one at a time and in order."""

import threading
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import pytest
from job_store_helpers import BOLTS, LEASE_S, NUTS, by_hand, claimed, submitted
from key_helpers import Clock
from storage_helpers import at_once

from app.errors import LeaseLostError
from app.storage.database import Database
from app.storage.jobs import Jobs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that leases are measured with, moved by hand."""
    return by_hand(monkeypatch)


@pytest.fixture
def jobs(databases: list[Database]) -> Jobs:
    return Jobs(databases[0])


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
