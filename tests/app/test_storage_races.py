"""Several threads and processes on what is stored once: nothing is lost, nothing numbered twice."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from storage_helpers import (
    BY,
    Place,
    at_once,
    change_again_and_again,
    detector,
    files,
    following,
    same,
    three,
)

from app.errors import (
    ConflictError,
    DetectorExistsError,
    InServiceError,
    NoPreviousVersionError,
    UnknownDetectorError,
    UnknownVersionError,
)
from app.storage import Storage
from app.storage import versions as module
from app.storage.versions import Stored

GONE = (
    ConflictError,
    UnknownDetectorError,
    UnknownVersionError,
    NoPreviousVersionError,
    InServiceError,
)


@pytest.fixture
def storages(place: Place) -> Iterator[list[Storage]]:
    """Three, as three processes would have them."""
    with ExitStack() as stack:
        yield [stack.enter_context(place.opened()) for _ in range(3)]


def is_sound(storage: Storage) -> None:
    """Check that every version of every detector can be had, and that no file is left over."""
    named = set()
    for entry in storage.versions.all():
        versions = storage.versions.versions(entry.name)
        numbers = [version.version for version in versions]
        assert {entry.in_service, entry.tip} <= set(numbers)
        assert len(set(numbers)) == len(numbers)
        for version in versions:
            assert version.parent is None or version.parent in numbers
            kept = storage.versions.get(entry.name, version.version)
            assert storage.versions.images(kept.entry) == []
            named |= {version.files.fit, version.files.decision}
    assert files(storage) == named


def test_exactly_one_of_several_creates_and_deletes(storages: list[Storage]) -> None:
    """Law: the name belongs to one, all others are told; deleted once, nothing is left."""
    for _ in range(3):
        made = at_once(
            [partial(s.versions.create, detector(seed=n), BY) for n, s in enumerate(storages * 2)]
        )
        (winner,) = (outcome for outcome in made if isinstance(outcome, Stored))
        assert sum(isinstance(outcome, DetectorExistsError) for outcome in made) == 5
        assert all(same(s.versions.get("bolts").detector, winner.detector) for s in storages)
        is_sound(storages[0])
        gone = at_once([partial(s.versions.delete, "bolts", BY) for s in storages * 2])
        assert sum(isinstance(outcome, str) for outcome in gone) == 1
        assert sum(isinstance(outcome, GONE) for outcome in gone) == 5
        assert files(storages[0]) == set()


def test_of_many_at_once_every_version_is_there(storages: list[Storage]) -> None:
    """Law: every acknowledged version can be had, with its own content, under its own number.

    The first serves; the others learn that it was put in service while they were made.
    """
    base = storages[0].versions.create(detector(), BY)
    news = [following(base.detector, seed=n) for n in range(1, 13)]
    made = at_once(
        [
            partial(storages[n % 3].versions.add, base, new, "replace", BY)
            for n, new in enumerate(news)
        ]
    )
    assert sorted(stored.detector.version for stored in made) == list(range(2, 14))
    for stored, new in zip(made, news, strict=True):
        for storage in storages:
            kept = storage.versions.get("bolts", stored.detector.version)
            assert same(kept.detector, new)
    entry = storages[0].versions.entry("bolts")
    assert entry.in_service == entry.tip == 2
    assert sorted(stored.detector.version for stored in made if not stored.aside) == [2]
    is_sound(storages[0])
    lines = storages[0].audit.lines(subject="bolts")
    assert sorted(line.after["version"] for line in lines[1:]) == list(range(2, 14))


def test_a_run_that_two_processes_end_makes_one_version(storages: list[Storage]) -> None:
    """Law: however many end it at once, all are given the same version."""
    base = storages[0].versions.create(detector(), BY)
    new = following(base.detector)
    add = [partial(s.versions.add, base, new, "replace", BY, run="a" * 32) for s in storages]
    made = at_once(add * 2)
    assert [stored.detector.version for stored in made] == [2] * 6
    is_sound(storages[0])


@pytest.mark.slow
def test_processes_never_lose_a_version(place: Place) -> None:
    """Law: of processes that change one detector, every version is there, from its own tip."""
    with place.opened() as storage:
        storage.versions.create(detector(), BY)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=spawn) as processes:
            work = [processes.submit(change_again_and_again, place, 15, 100 * n) for n in range(2)]
            made = [process.result(timeout=300) for process in work]
        assert sorted(made[0] + made[1]) == list(range(2, 32))
        for numbers in made:
            assert numbers == sorted(numbers)
        entry = storage.versions.entry("bolts")
        assert entry.in_service == entry.tip  # the last that no other one has overtaken
        is_sound(storage)


def test_readers_see_whole_versions_in_order(place: Place, storages: list[Storage]) -> None:
    """Contract: while others write, every read gives a version, never one older than before."""
    storages[0].versions.create(detector(), BY)

    def read(reader: Storage) -> list[Stored]:
        seen = [reader.versions.get("bolts")]
        while seen[-1].detector.version < 16:
            seen.append(reader.versions.get("bolts"))
        return seen

    write = partial(change_again_and_again, place, 15)
    written, *readings = at_once([write, *(partial(read, storage) for storage in storages[:2])])
    assert written == list(range(2, 17))
    for seen in readings:
        assert isinstance(seen, list), seen
        assert all(a.detector.version <= b.detector.version for a, b in pairwise(seen))


def test_deletion_against_everything(storages: list[Storage]) -> None:
    """Law: whoever comes first, what was deleted is gone whole, with all files of late comers."""
    for turn in range(6):
        _, _, third = three(storages[0])
        one, other, last = storages
        calls: list[Callable[[], Any]] = [
            partial(one.versions.delete, "bolts", BY),
            partial(other.versions.add, third, following(third.detector), "replace", BY),
            partial(other.versions.promote, "bolts", 2, BY),
            partial(last.versions.add, third, following(third.detector), "extend", BY),
            partial(last.versions.get, "bolts", 1),
        ]
        outcomes = at_once(calls[turn:] + calls[:turn])
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert all(isinstance(error, GONE) for error in errors), errors
        assert one.versions.all() == []
        assert files(one) == set()


def between(monkeypatch: pytest.MonkeyPatch, action: str) -> tuple[threading.Event, Any]:
    """Hold up the change that writes this line of the audit, within its transaction."""
    reached, go_on, record = threading.Event(), threading.Event(), module.record

    def held_up(connection: Any, by: Any, what: str, *rest: Any, **more: Any) -> None:
        record(connection, by, what, *rest, **more)
        if what == action:
            reached.set()
            assert go_on.wait(120)

    monkeypatch.setattr(module, "record", held_up)
    return reached, go_on


@pytest.mark.parametrize("late", ["add", "promote", "rollback", "shadow", "delete_version"])
def test_what_meets_the_deletion_of_its_version_is_told(
    late: str, storages: list[Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a version that is being deleted is nobody's parent, and never in service."""
    first, _, third = three(storages[0])
    storages[0].versions.promote("bolts", 1, BY, allow_uncalibrated=True)
    calls: dict[str, Callable[[], Any]] = {
        "add": partial(storages[1].versions.add, third, following(third.detector), "extend", BY),
        "promote": partial(storages[1].versions.promote, "bolts", 3, BY),
        "rollback": partial(storages[1].versions.rollback, "bolts", BY),
        "shadow": partial(storages[1].versions.shadow, "bolts", 3, BY),
        "delete_version": partial(storages[1].versions.delete_version, "bolts", 3, BY),
    }
    reached, go_on = between(monkeypatch, "version.delete")

    def meanwhile() -> None:
        assert reached.wait(60)
        threading.Timer(0.3, go_on.set).start()  # the other one waits for the row until then

    def wait_and_call() -> Any:
        assert reached.wait(60)
        return calls[late]()

    deletion = partial(storages[0].versions.delete_version, "bolts", 3, BY)
    deleted, _, outcome = at_once([deletion, meanwhile, wait_and_call])
    assert deleted is None
    assert isinstance(outcome, GONE), outcome
    assert same(storages[2].versions.get("bolts").detector, first.detector)
    is_sound(storages[2])


def test_reader_that_meets_a_deletion_is_told(
    storages: list[Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a file that was removed between row and read is no damage: it was deleted."""
    reader, writer = storages[:2]
    writer.versions.create(detector(), BY)
    read = reader.blobs.get

    def after_the_deletion(name: str) -> bytes:
        writer.versions.delete("bolts", BY)
        return read(name)

    monkeypatch.setattr(reader.blobs, "get", after_the_deletion)
    with pytest.raises(UnknownDetectorError):
        reader.versions.get("bolts")
