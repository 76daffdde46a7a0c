"""What scoring knows of detectors without asking the database for every image."""

import pytest
from storage_helpers import BY, calibrated, detector, three

from app.errors import UnknownDetectorError
from app.storage import Storage
from app.storage.version_reader import FRESH_S


class Clock:
    """Stands in for ``time`` and moves when it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.storage.version_reader.time", clock)
    return clock


def test_recent_is_what_was_read(storage: Storage, clock: Clock) -> None:
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
    storage.database.writes += 1
    assert storage.versions.recent("nuts") is None
    storage.versions.refresh([*names, "washers"])
    assert {name: storage.versions.recent(name) for name in names} == read
    assert storage.versions.recent("washers") is None
