"""What scoring knows of detectors without asking the database for every image."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from storage_helpers import BY, Seconds, calibrated, commits, detector, following, three

from app.clock import now
from app.errors import StorageUnavailableError, UnknownDetectorError
from app.storage import Storage
from app.storage.drift_notes import DriftNotes, Written
from app.storage.drift_states import Change, DriftStates
from app.storage.drift_writers import DriftWriters
from app.storage.history import KeptHistory, ScoredImage
from app.storage.moved import keep_import
from app.storage.notices import Standing
from app.storage.shadows import Agreement, Shadows
from app.storage.version_reader import AGES_S, FRESH_S
from detector.rows import Rows


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr("app.storage.version_reader.time", clock)
    return clock


def test_recent_is_what_was_read(storage: Storage, clock: Seconds) -> None:
    """Law: for a moment it is what reading gives, of what serves and of any version."""
    three(storage)
    assert storage.versions.recent("bolts") is None
    for version in (None, 1, 2):
        read = storage.versions.get("bolts", version)
        assert storage.versions.recent("bolts", version) == read
    clock.now_s += 0.99 * FRESH_S
    assert storage.versions.recent("bolts") is not None
    clock.now_s += 0.02 * FRESH_S
    assert storage.versions.recent("bolts") is None


@pytest.mark.usefixtures("clock")
def test_a_change_of_ours_is_seen_at_once(storage: Storage) -> None:
    """Contract: whoever promotes or deletes and then scores is answered by what is true."""
    three(storage)
    storage.versions.promote("bolts", 2, BY, allow_uncalibrated=True)
    assert storage.versions.get("bolts").detector.version == 2
    storage.versions.promote("bolts", 1, BY, allow_uncalibrated=True)
    assert storage.versions.recent("bolts") is None
    assert storage.versions.get("bolts").detector.version == 1
    storage.versions.delete("bolts", BY)
    assert storage.versions.recent("bolts") is None
    with pytest.raises(UnknownDetectorError):
        storage.versions.get("bolts")


@pytest.mark.usefixtures("clock")
def test_many_are_read_at_once(storage: Storage) -> None:
    """Law: after one query each is known as reading alone has it; who is unknown stays so."""
    names = ["bolts", "nuts", "plates"]
    for seed, name in enumerate(names):
        made = storage.versions.create(detector(name, seed), BY)
        storage.versions.add(made, calibrated(made.detector), "calibrate", BY)
    read = {name: storage.versions.get(name) for name in names}
    storage.database.detector_writes += 1
    assert storage.versions.recent("nuts") is None
    storage.versions.refresh([*names, "washers"])
    assert {name: storage.versions.recent(name) for name in names} == read
    assert storage.versions.recent("washers") is None


Steps = list[Callable[[], object]]


def of_history(storage: Storage, bolts: str) -> Steps:
    """Return what writes and removes what was scored."""
    history, moment = KeptHistory(storage.database, storage.blobs), now()
    rows = Rows({"block": np.zeros((1, 3), np.float32)})
    image = ScoredImage(
        "1" * 32, bolts, 1, moment, "", "", "0" * 64, 1.0, None, None, "normal", "", 0
    )
    return [
        lambda: history.write("f" * 64, [image], rows),
        lambda: history.trim(0, moment),
    ]


def of_drift(storage: Storage, bolts: str) -> Steps:
    """Return what writes notes and state of drift, and who takes the notes."""
    database, moments = storage.database, iter(now() + n * timedelta(hours=1) for n in range(9))
    notes, states = DriftNotes(database), DriftStates(database)
    ours, theirs = (DriftWriters(database, owner, lambda: next(moments)) for owner in "ab")
    seen = Change(BY, "drift.acknowledge", "bolts", {}, {})
    return [
        lambda: notes.append([Written(bolts, "source", 1, 1, 0, b"note", b"squeezes")]),
        ours.claim,
        theirs.claim,
        lambda: theirs._prolong([bolts], now()),
        theirs.release,
        lambda: states.put(bolts, b"one", 0, standing=Standing(())),
        lambda: states.put(bolts, b"two", 1, seen),
        lambda: notes.discard([each.id for each in notes.untaken(bolts, 1)]),
    ]


def of_shadows(storage: Storage, bolts: str) -> Steps:
    """Return what counts how often a shadow agreed."""
    counted = Agreement(bolts, 1, 2, 3, 4, 5, now(), now())
    return 2 * [lambda: Shadows(storage.database).add([counted])]


def of_jobs(storage: Storage, bolts: str) -> Steps:
    """Return what says how a job stands."""
    jobs = storage.jobs
    job, _ = jobs.submit("fit", bolts, "bolts", {}, BY)
    return [
        lambda: jobs.claim("a", 30.0),
        lambda: jobs.pin(job.id, "a", base=1, serving=1),
        lambda: jobs.renew(job.id, "a", 30.0, done=1, total=2),
        lambda: jobs.release(job.id, "a"),
        lambda: jobs.claim("a", 30.0),
        lambda: jobs.release_all("a"),
        lambda: jobs.claim("a", 30.0),
        lambda: jobs.finish(job.id, "a", "succeeded"),
    ]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("notes", [of_history, of_drift, of_shadows, of_jobs])
def test_notes_leave_it_alone(storage: Storage, notes: Callable[[Storage, str], Steps]) -> None:
    """Law: of what was scored and how jobs stand there is much to write, and it changes nothing."""
    three(storage)
    steps = notes(storage, storage.versions.entry("bolts").id)
    read = storage.versions.get("bolts")
    for step in steps:
        with commits(storage.database) as done:
            step()
        assert len(done) == 1
        assert storage.versions.recent("bolts") == read
        assert not storage.versions.ages("bolts")
    assert storage.versions.get("bolts") == read


@pytest.mark.usefixtures("clock")
def test_each_change_of_a_detector_is_seen_at_once(storage: Storage) -> None:
    """Law: whatever may have changed one, none is as it was read before."""
    versions = storage.versions
    _, second, third = three(storage)
    again = replace(second.detector.decide("manual", {"value": 9.0}), version=1)
    changes: Steps = [
        lambda: versions.create(detector("nuts"), BY),
        lambda: versions.add(third, calibrated(following(third.detector)), "replace", BY),
        lambda: versions.add(second, again, "threshold", BY, promote="never"),
        lambda: versions.promote("bolts", 2, BY),
        lambda: versions.rollback("bolts", BY),
        lambda: versions.shadow("bolts", 2, BY),
        lambda: versions.shadow("bolts", None, BY),
        lambda: versions.delete_version("bolts", 5, BY),
        lambda: keep_import(storage, "d" * 32, detector("plates"), BY, parameters={}, images=()),
        lambda: versions.delete("bolts", BY),
    ]
    for change in changes:
        read = versions.get("bolts")
        assert versions.get("bolts", 1) == versions.recent("bolts", 1)
        assert versions.recent("bolts") == read
        change()
        assert versions.recent("bolts") is None
        assert versions.recent("bolts", 1) is None
        assert versions.ages("bolts")


@pytest.mark.usefixtures("clock")
def test_a_change_that_is_heard_of_no_more_may_have_been_made(storage: Storage) -> None:
    """Contract: when a commit breaks it is read again, for nobody knows."""
    three(storage)
    assert storage.versions.get("bolts") == storage.versions.recent("bolts")
    with pytest.raises(StorageUnavailableError), storage.database.write():
        raise StorageUnavailableError("the connection broke")
    assert storage.versions.recent("bolts") is None


def test_what_ages_still_serves(storage: Storage, clock: Seconds) -> None:
    """Law: it is told apart for a moment before it is too old; what was never read is too old."""
    three(storage)
    assert storage.versions.ages("bolts")
    storage.versions.get("bolts")
    clock.now_s += 0.99 * AGES_S
    assert not storage.versions.ages("bolts")
    assert storage.versions.ages("bolts", 1)
    clock.now_s += 0.02 * AGES_S
    assert storage.versions.ages("bolts")
    assert storage.versions.recent("bolts") is not None
