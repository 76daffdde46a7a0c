"""Detectors that are kept in versions: numbered, immutable, by name, with the images they know."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from storage_helpers import (
    BY,
    Place,
    calibrated,
    detector,
    files,
    following,
    image,
    same,
    three,
)

from app.errors import (
    ConflictError,
    DetectorExistsError,
    UnknownDetectorError,
    UnknownVersionError,
)
from app.storage import Storage
from app.storage.lineage import Delta


def test_what_is_kept_can_be_had(storage: Storage) -> None:
    """Law: every version for good, to the bit, under its number; the latest in service."""
    assert storage.versions.all() == []
    kept = three(storage)
    assert [stored.detector.version for stored in kept] == [1, 2, 3]
    assert same(kept[0].detector, detector())
    assert same(kept[1].detector, calibrated(detector()))
    for stored in kept:
        again = storage.versions.get("bolts", stored.detector.version)
        assert same(again.detector, stored.detector)
        assert again.detector.version == stored.detector.version
    assert same(storage.versions.get("bolts").detector, kept[2].detector)
    assert [entry.name for entry in storage.versions.all()] == ["bolts"]
    assert (kept[2].entry.in_service, kept[2].entry.tip) == (3, 3)
    storage.versions.delete("bolts", BY)
    assert storage.versions.all() == []
    assert files(storage) == set()


def test_restart_is_the_same_state(place: Place) -> None:
    """Law: a storage opened anew gives what the old one gave, to the bit."""
    with place.opened() as storage:
        three(storage)
        storage.versions.create(detector("nuts", seed=5), BY)
        before = storage.versions.all(), storage.versions.versions("bolts")
        kept = [storage.versions.get("bolts", n).detector for n in (1, 2, 3)]
    with place.opened() as storage:
        assert (storage.versions.all(), storage.versions.versions("bolts")) == before
        for old in kept:
            assert same(storage.versions.get("bolts", old.version).detector, old)


def test_a_version_tells_how_it_came_about(storage: Storage) -> None:
    """Contract: parent, change, parameters, who, why and when; and what it is, in short."""
    first = storage.versions.create(detector(), BY)
    other = replace(BY, who="anna", reason="new lot", request_id="r-2")
    asked = {"method": "conformal", "parameters": {"target": 0.1}}
    storage.versions.add(first, calibrated(first.detector), "calibrate", other, parameters=asked)
    one, two = storage.versions.versions("bolts")
    assert (one.version, one.parent, one.change, one.who) == (1, None, "create", "tester")
    assert (two.version, two.parent, two.change) == (2, 1, "calibrate")
    assert (two.who, two.reason, two.request_id) == ("anna", "new lot", "r-2")
    assert two.parameters == asked
    assert (two.summary["fitted_images"], two.summary["calibration_images"]) == (9, 21)
    assert (one.summary["state"], two.summary["state"]) == ("fitted", "calibrated")
    assert one.created_at < two.created_at
    assert two.created_at.tzinfo is UTC
    assert abs(two.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    entry = storage.versions.entry("bolts")
    assert entry.created_at <= one.created_at < entry.updated_at
    actions = [line.action for line in storage.audit.lines(subject="bolts")]
    assert actions == ["detector.create", "version.calibrate"]


def test_versions_of_one_fit_share_its_file_and_its_moments(place: Place) -> None:
    """Contract: a new threshold writes a small file only, and costs no memory for the moments."""
    with place.opened() as storage:
        kept = three(storage)
        names = {stored.entry.version.files.fit for stored in kept}
        assert len(names) == 1
        assert len(files(storage)) == 4
        storage.versions.add(kept[2], following(kept[2].detector), "replace", BY)
        assert len(files(storage)) == 6
    with place.opened() as storage:
        one, two, three_ = (storage.versions.get("bolts", n).detector for n in (1, 2, 3))
        assert one.statistics is two.statistics is three_.statistics


def test_names_are_sorted(storage: Storage) -> None:
    """Contract: by code point, as Python sorts."""
    names = ["b", "a.2", "C", "a-1", "a_1", "10", "9", "a"]
    for name in names:
        storage.versions.create(detector(name), BY)
    assert [entry.name for entry in storage.versions.all()] == sorted(names)


def test_name_belongs_to_one(storage: Storage) -> None:
    """Contract: a second one of the name is refused and leaves no file; a freed name is free."""
    storage.versions.create(detector(seed=1), BY)
    kept = files(storage)
    with pytest.raises(DetectorExistsError, match="bolts"):
        storage.versions.create(detector(seed=2), BY)
    assert files(storage) == kept
    assert same(storage.versions.get("bolts").detector, detector(seed=1))
    storage.versions.delete("bolts", BY)
    anew = storage.versions.create(detector(seed=2), BY)
    assert anew.detector.version == 1
    assert same(anew.detector, detector(seed=2))


def test_unknown_names_and_versions_are_refused(storage: Storage) -> None:
    """Contract: on every way to ask for them; nothing is done."""
    versions = storage.versions
    for call in (versions.entry, versions.get, versions.versions):
        with pytest.raises(UnknownDetectorError, match="nuts"):
            call("nuts")
    for change in (versions.rollback, versions.delete):
        with pytest.raises(UnknownDetectorError, match="nuts"):
            change("nuts", BY)
    for move in (versions.promote, versions.shadow, versions.delete_version):
        with pytest.raises(UnknownDetectorError, match="nuts"):
            move("nuts", 1, BY)
    versions.create(detector(), BY)
    before = versions.entry("bolts")
    for move in (versions.promote, versions.shadow, versions.delete_version):
        with pytest.raises(UnknownVersionError, match="the latest is 1"):
            move("bolts", 2, BY)
    with pytest.raises(UnknownVersionError):
        versions.get("bolts", 2)
    assert versions.entry("bolts") == before


@pytest.mark.parametrize("gone", ["version", "detector", "name"])
def test_what_was_deleted_is_no_base(storage: Storage, gone: str) -> None:
    """Contract: a conflict, and no file is left; not even where the name was given anew."""
    _, second, _ = three(storage)
    storage.versions.promote("bolts", 1, BY, allow_uncalibrated=True)
    if gone == "version":
        storage.versions.delete_version("bolts", 3, BY)
        storage.versions.delete_version("bolts", 2, BY)
    else:
        storage.versions.delete("bolts", BY)
    if gone == "name":
        storage.versions.create(detector(), BY)
    kept = files(storage)
    with pytest.raises(ConflictError, match="deleted meanwhile"):
        storage.versions.add(second, following(second.detector), "replace", BY)
    assert files(storage) == kept


def test_a_run_makes_one_version(storage: Storage) -> None:
    """Law: what a process repeats that died before it could say so is not made twice."""
    first = storage.versions.create(detector(), BY)
    new = following(first.detector)
    made = storage.versions.add(first, new, "replace", BY, run="a" * 32)
    kept = files(storage)
    again = storage.versions.add(first, new, "replace", BY, run="a" * 32)
    assert (made.detector.version, again.detector.version) == (2, 2)
    assert files(storage) == kept
    assert len(storage.versions.versions("bolts")) == 2
    other = storage.versions.add(first, new, "replace", BY, run="b" * 32)
    assert other.detector.version == 3


def test_a_version_knows_its_images(storage: Storage) -> None:
    """Law: those of its parents since the last fit anew, with what it added and without what it
    removed, in the order in which they came; each version those of its own time."""
    versions = storage.versions
    at = versions.create(detector(), BY)
    told = []
    for change, added, removed in (
        ("replace", [1, 2], []),
        ("extend", [3, 1], []),
        ("forget", [], [2]),
        ("threshold", [], []),
        ("replace", [9], []),
    ):
        delta = Delta("fit", [image(n, "lot") for n in added], [image(n) for n in removed])
        new = at.detector if change == "threshold" else following(at.detector, seed=len(told))
        at = versions.add(at, new, change, BY, images=[delta])  # type: ignore[arg-type]
        told.append([int(each.sha256, 16) for each in versions.images(at.entry)])
    assert told == [[1, 2], [1, 2, 3], [1, 3], [1, 3], [9]]
    assert versions.images(versions.entry("bolts", 2)) == [image(1, "lot"), image(2, "lot")]
    held_out = [image(n) for n in (5, 6)]
    odd = Delta("anomaly", [image(7)])
    at = versions.add(
        at, calibrated(at.detector), "calibrate", BY, images=[Delta("calibrate", held_out), odd]
    )
    at = versions.add(at, following(at.detector), "extend", BY, images=[Delta("fit", [image(10)])])
    assert versions.calibration_images(at.entry) == held_out
    assert versions.images(at.entry) == [image(9, "lot"), image(10)]
    assert versions.calibration_images(versions.entry("bolts", 2)) == []


def test_two_storages_see_each_other_at_once(storage: Storage, place: Place) -> None:
    """Contract: what one process has committed, the next read of any other sees."""
    with place.opened() as other:
        current = storage.versions.create(detector(), BY)
        for turn in range(6):
            reader, writer = (storage, other) if turn % 2 else (other, storage)
            assert same(reader.versions.get("bolts").detector, current.detector)
            new = following(current.detector, seed=turn)
            current = writer.versions.add(current, new, "replace", BY)
            assert same(reader.versions.get("bolts").detector, new)
        other.versions.promote("bolts", 3, BY)
        assert storage.versions.get("bolts").detector.version == 3
        other.versions.delete("bolts", BY)
        with pytest.raises(UnknownDetectorError):
            storage.versions.get("bolts")
