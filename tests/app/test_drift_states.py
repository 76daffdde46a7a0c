"""The drift state's row: replaced by whoever has read the last one, and by nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import Connection
from storage_helpers import BY, Place, at_once, detector

from app.errors import ConflictError, StorageUnavailableError
from app.storage import Storage
from app.storage.audit import By
from app.storage.database import Database
from app.storage.drift_states import Change, DriftStates


@pytest.fixture
def storage(place: Place) -> Iterator[Storage]:
    """A store with a detector of bolts."""
    with place.opened() as storage:
        storage.versions.create(detector(), BY)
        yield storage


def test_a_state_is_what_was_written_last(storage: Storage) -> None:
    """Contract: each write counts, and is read whole."""
    states, identity = DriftStates(storage.database), storage.versions.entry("bolts").id
    assert states.get(identity) == (b"", 0)
    assert states.counter(identity) == 0
    for counter, content in enumerate([b"one", bytes(range(256)) * 4000, b"three"]):
        assert states.put(identity, content, counter) == counter + 1
        assert states.get(identity) == (content, counter + 1)
        assert states.counter(identity) == counter + 1


def test_exactly_one_of_several_goes_on_from_a_state(storage: Storage) -> None:
    """Law: the first state and each later one has one successor; the others are told."""
    states, identity = DriftStates(storage.database), storage.versions.entry("bolts").id

    def write(number: int) -> str:
        try:
            states.put(identity, bytes([number]), counter)
        except ConflictError:
            return "told"
        return "kept"

    for counter in range(3):  # the writers read it
        done = at_once([partial(write, number) for number in range(4)])
        assert sorted(done) == ["kept", "told", "told", "told"]
        assert states.get(identity) == (bytes([done.index("kept")]), counter + 1)


def test_a_change_is_in_the_audit_with_its_state_or_not_at_all(storage: Storage) -> None:
    """Law: who lost the race has written no line."""
    states, identity = DriftStates(storage.database), storage.versions.entry("bolts").id
    change = Change(By("ann", "seen"), "drift.acknowledge", "bolts", {"a": 1}, {"a": 2})
    states.put(identity, b"one", 0)
    states.put(identity, b"two", 1, change)
    with pytest.raises(ConflictError):
        states.put(identity, b"late", 1, change)
    (line,) = (each for each in storage.audit.lines() if each.action == "drift.acknowledge")
    assert (line.who, line.reason, line.before, line.after) == ("ann", "seen", {"a": 1}, {"a": 2})
    assert states.get(identity) == (b"two", 2)


def test_a_deleted_detector_has_no_state(storage: Storage) -> None:
    """Contract: its row goes along, and nothing brings it back."""
    states, identity = DriftStates(storage.database), storage.versions.entry("bolts").id
    states.put(identity, b"one", 0)
    storage.versions.delete("bolts", BY)
    assert states.get(identity) == (b"", 0)
    for counter in (0, 1):
        with pytest.raises(ConflictError):
            states.put(identity, b"two", counter)


@pytest.mark.parametrize("kept", [True, False])
def test_a_connection_that_breaks_is_no_second_write(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Law: a state that is there although the answer was lost is kept; one that is not is told."""
    states, identity = DriftStates(storage.database), storage.versions.entry("bolts").id
    write = Database.write

    @contextmanager
    def breaks(database: Database, **what: bool) -> Iterator[Connection]:
        with write(database, **what) as connection:
            yield connection
            if not kept:
                raise StorageUnavailableError("the connection broke before it was kept")
        raise StorageUnavailableError("the connection broke before the answer")

    for counter, content in enumerate([b"one", b"two"]):
        with monkeypatch.context() as patched:
            patched.setattr(Database, "write", breaks)
            if kept:
                assert states.put(identity, content, counter) == counter + 1
            else:
                with pytest.raises(StorageUnavailableError):
                    states.put(identity, content, counter)
        if not kept:
            states.put(identity, content, counter)
        assert states.get(identity) == (content, counter + 1)
