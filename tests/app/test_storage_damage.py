"""Crashes, damaged files, and what is kept at hand."""

import pytest
from storage_helpers import (
    BY,
    Place,
    calibrated,
    detector,
    following,
    image,
    same,
    three,
)

from app.errors import (
    MissingBlobError,
)
from app.storage import Storage, detector_files
from app.storage.lineage import Delta
from detector.errors import ArtefactError


class Crash(BaseException):
    """The process ends here: nothing may catch it."""


@pytest.mark.parametrize("step", ["write", "insert_version", "record"])
def test_crash_leaves_the_old_version(
    step: str, storage: Storage, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: whenever it ends before the commit, a restart serves the old version, and goes on."""
    first = storage.versions.create(detector(), BY)
    new = following(first.detector)

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        where = detector_files.DetectorFiles if step == "write" else "app.storage.versions"
        if isinstance(where, str):
            patched.setattr(f"{where}.{step}", crash)
        else:
            patched.setattr(where, step, crash)
        with pytest.raises(Crash):
            storage.versions.add(first, new, "replace", BY, images=[Delta("fit", [image(1)])])
    storage.close()
    with place.opened() as restarted:
        assert len(restarted.versions.versions("bolts")) == 1
        assert same(restarted.versions.get("bolts").detector, first.detector)
        assert [line.action for line in restarted.audit.lines()] == ["detector.create"]
        made = restarted.versions.add(first, new, "replace", BY)
        assert made.detector.version == 2
        assert same(made.detector, new)
        assert restarted.versions.images(made.entry) == []


@pytest.mark.parametrize("which", ["fit", "decision"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other", "missing"])
def test_damaged_file_is_noticed(which: str, damage: str, storage: Storage, place: Place) -> None:
    """Contract: an error that names it, and the other detectors go on; it can be deleted."""
    kept = storage.versions.create(calibrated(detector()), BY)
    storage.versions.create(detector("nuts"), BY)
    name = getattr(kept.entry.version.files, which)
    content = storage.blobs.get(name)
    flipped = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
    made = {"empty": b"", "cut": content[:-8], "flipped": flipped, "other": b"PK" * 99}
    if damage == "missing":
        storage.blobs.delete(name)
    else:
        storage.blobs.put(name, made[damage])
    with place.opened() as restarted:
        expected = MissingBlobError if damage == "missing" else ArtefactError
        with pytest.raises(expected, match=name.split("/")[-1]):
            restarted.versions.get("bolts")
        assert same(restarted.versions.get("nuts").detector, detector("nuts"))
        assert [entry.name for entry in restarted.versions.all()] == ["bolts", "nuts"]
        restarted.versions.delete("bolts", BY)
        assert [entry.name for entry in restarted.versions.all()] == ["nuts"]


def test_cache_is_bounded(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: however many detectors, so many at most are held in memory; all can be had."""
    cached = detector_files.DetectorFiles(storage.blobs, 3)
    monkeypatch.setattr(storage.versions, "_files", cached)
    names = [f"n{number:02}" for number in range(5)]
    for name in names:
        storage.versions.create(detector(name), BY)
    for _ in range(2):
        for name in names:
            assert storage.versions.get(name).detector.spec.name == name
        assert len(cached._fits._values) == len(cached._versions._values) == 3


def test_unchanged_detectors_are_read_once(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a score does not wait for the disk; it gets the very value of the last one."""
    kept = three(storage)
    monkeypatch.delattr(type(storage.blobs), "get")
    for number, stored in enumerate(kept, start=1):
        again = storage.versions.get("bolts", number).detector
        assert again is storage.versions.get("bolts", number).detector is stored.detector
