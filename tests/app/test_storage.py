"""Detectors that are kept: one owner at a time, restarts, crashes and damaged files."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from storage_helpers import SCORES, detector, following, same

from app import storage as module
from app.errors import ConflictError, DetectorExistsError, UnknownDetectorError
from app.storage import CACHED_DETECTORS, Storage
from detector.errors import ArtefactError


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """An empty storage in ``tmp_path``."""
    opened = Storage(tmp_path)
    yield opened
    opened.close()


def files(directory: Path) -> list[Path]:
    """Return the detectors' files, whatever they are called."""
    return sorted((directory / "detectors").iterdir())


def test_what_is_kept_can_be_had(storage: Storage) -> None:
    """Contract: create, get, put, delete."""
    first = detector()
    assert storage.names() == []
    assert same(storage.create(first).detector, first)
    assert same(storage.get("bolts").detector, first)
    second = following(first)
    assert same(storage.put(first, second).detector, second)
    assert same(storage.get("bolts").detector, second)
    assert storage.names() == ["bolts"]
    storage.delete("bolts")
    assert storage.names() == []


def test_restart_is_the_same_state(storage: Storage, tmp_path: Path) -> None:
    """Law: a storage opened anew on the directory gives what the old one gave, to the bit."""
    first = detector()
    storage.create(first)
    fitted = following(first).calibrate(SCORES.repeat(9)[:, None], 0.1)
    storage.put(first, fitted)
    storage.create(detector("nuts", seed=5))
    before = [storage.get(name) for name in storage.names()]
    storage.close()
    restarted = Storage(tmp_path)
    after = [restarted.get(name) for name in restarted.names()]
    restarted.close()
    assert len(before) == len(after) == 2
    for old, new in zip(before, after, strict=True):
        assert same(old.detector, new.detector)
        assert (old.created_at, old.updated_at) == (new.created_at, new.updated_at)


def test_times_are_utc_and_of_first_and_latest_version(storage: Storage) -> None:
    """Contract: created once, updated by every version."""
    first = detector()
    created = storage.create(first)
    assert created.created_at == created.updated_at
    assert created.created_at.tzinfo is UTC
    assert abs(created.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    changed = storage.put(first, following(first))
    assert changed.created_at == created.created_at
    assert changed.updated_at > created.updated_at


def test_names_are_sorted(storage: Storage) -> None:
    """Contract: by code point, as Python sorts."""
    names = ["b", "a.2", "C", "a-1", "a_1", "10", "9", "a"]
    for name in names:
        storage.create(detector(name))
    assert storage.names() == sorted(names)


def test_name_belongs_to_one(storage: Storage, tmp_path: Path) -> None:
    """Contract: a second one of the name is refused and leaves no file; a freed name is free."""
    storage.create(detector(seed=1))
    kept = files(tmp_path)
    with pytest.raises(DetectorExistsError, match="bolts"):
        storage.create(detector(seed=2))
    assert files(tmp_path) == kept
    assert same(storage.get("bolts").detector, detector(seed=1))
    storage.delete("bolts")
    assert same(storage.create(detector(seed=2)).detector, detector(seed=2))


def test_unknown_names_are_refused(storage: Storage, tmp_path: Path) -> None:
    """Contract: get, put and delete of what is not there."""
    with pytest.raises(UnknownDetectorError, match="nuts"):
        storage.get("nuts")
    with pytest.raises(UnknownDetectorError, match="nuts"):
        storage.delete("nuts")
    with pytest.raises(ConflictError):
        storage.put(detector("nuts"), following(detector("nuts")))
    assert files(tmp_path) == []


def test_stale_version_is_a_conflict(storage: Storage, tmp_path: Path) -> None:
    """Contract: who has not seen the latest version may not replace it."""
    first = detector()
    storage.create(first)
    second = following(first, seed=2)
    storage.put(first, second)
    kept = files(tmp_path)
    with pytest.raises(ConflictError, match="repeat"):
        storage.put(first, following(first, seed=3))
    assert files(tmp_path) == kept
    assert same(storage.get("bolts").detector, second)


def test_no_file_is_left_behind(storage: Storage, tmp_path: Path) -> None:
    """Contract: there is one file per detector, and none after the last."""
    current = detector()
    storage.create(current)
    storage.create(detector("nuts"))
    for _ in range(3):
        new = following(current)
        storage.put(current, new)
        current = new
        assert len(files(tmp_path)) == 2
    storage.delete("bolts")
    assert [path.name.startswith("nuts-") for path in files(tmp_path)] == [True]
    storage.delete("nuts")
    assert files(tmp_path) == []


def test_two_storages_see_each_other_at_once(storage: Storage, tmp_path: Path) -> None:
    """Contract: what one process has committed, the next read of any other sees."""
    other = Storage(tmp_path)
    current = storage.create(detector()).detector
    for turn in range(6):
        reader, writer = (storage, other) if turn % 2 else (other, storage)
        assert same(reader.get("bolts").detector, current)
        new = following(current, seed=turn)
        writer.put(current, new)
        assert same(reader.get("bolts").detector, new)
        current = new
    other.delete("bolts")
    with pytest.raises(UnknownDetectorError):
        storage.get("bolts")
    other.close()


class Crash(BaseException):
    """The process ends here: nothing may catch it."""


@pytest.mark.parametrize("step", [(module, "update"), (os, "replace"), (os, "fsync")])
def test_crash_leaves_the_old_version(
    step: tuple[object, str], storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: whenever it ends before the row is changed, a restart serves the old version."""
    first = detector()
    storage.create(first)

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(*step, crash)
        with pytest.raises(Crash):
            storage.put(first, following(first))
    storage.close()
    restarted = Storage(tmp_path)
    assert restarted.names() == ["bolts"]
    assert same(restarted.get("bolts").detector, first)
    assert same(restarted.put(first, following(first)).detector, following(first))
    restarted.close()


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other", "missing"])
def test_damaged_file_is_noticed(damage: str, storage: Storage, tmp_path: Path) -> None:
    """Contract: an ArtefactError, and the other detectors go on; it can be deleted."""
    storage.create(detector())
    (path,) = files(tmp_path)
    storage.create(detector("nuts"))
    content = path.read_bytes()
    flipped = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
    made = {"empty": b"", "cut": content[:-8], "flipped": flipped, "other": b"PK" * 99}
    path.unlink() if damage == "missing" else path.write_bytes(made[damage])
    restarted = Storage(tmp_path)
    with pytest.raises(ArtefactError, match=path.name):
        restarted.get("bolts")
    assert same(restarted.get("nuts").detector, detector("nuts"))
    restarted.delete("bolts")
    assert restarted.names() == ["nuts"]
    restarted.close()


def test_cache_is_bounded(storage: Storage) -> None:
    """Contract: however many detectors, so many at most are held in memory; all can be had."""
    names = [f"n{number:02}" for number in range(CACHED_DETECTORS + 9)]
    for name in names:
        storage.create(detector(name))
    assert len(storage._cache) == CACHED_DETECTORS
    for name in names:
        assert storage.get(name).detector.spec.name == name
    assert len(storage._cache) == CACHED_DETECTORS


def test_unchanged_detectors_are_read_once(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a score does not wait for the disk; it gets the very value of the last one."""
    storage.create(detector())
    monkeypatch.delattr(module, "load_detector")
    assert storage.get("bolts").detector is storage.get("bolts").detector
