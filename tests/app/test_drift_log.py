"""What one process takes of its own is not written before: only what is left of it, once."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drift_replicas import (
    CHANNELS,
    Clock,
    Images,
    KilledError,
    Process,
    broken,
    forget,
    gone,
    opened,
    plain,
)
from history_helpers import NAME
from sqlalchemy import func, select
from storage_helpers import BY, commits

from app.monitoring import taker, taking
from app.monitoring.notes import Note
from app.storage import Storage
from app.storage.drift_notes import DriftNotes
from app.storage.drift_tables import DRIFT_SQUEEZES
from detector.drift import window
from detector.drift.autocorrelation import Thinning


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A detector with small windows, of whose images one in three is monitored."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(window, "WINDOW_IMAGES", 8)
        patched.setattr(Thinning, "of_scores", classmethod(lambda cls, scores: cls(3.0)))
        for (storage,) in opened(tmp_path_factory.mktemp("log") / "data", None, 1):
            yield storage


@pytest.fixture
def process(storage: Storage) -> Iterator[Process]:
    """A process that has seen nothing."""
    forget(storage)
    found = Process(storage, Clock())
    yield found
    found.end()


def some(images: Images, start: int) -> list[Note]:
    """Return ten images, two of which no window takes: without a squeeze, or with a broken one."""
    notes = images.again(range(start, start + 10), lambda number: 0.3 * (number > 60))
    broken = np.full((1, CHANNELS), np.inf, dtype=np.float32)
    notes[4], notes[7] = replace(notes[4], squeeze=None), replace(notes[7], squeeze=broken)
    return notes


def kept(process: Process) -> Sequence[dict[str, Any]]:
    """Return all that is kept of the monitored images."""
    images = process.monitors._images(process.storage.versions.entry(NAME).id, 0, 10**9)
    return [{**asdict(each), "squeeze": each.squeeze.tobytes()} for each in images]


def test_whether_notes_lay_in_the_log_changes_nothing(storage: Storage) -> None:
    """Law: what is told, and kept of each image, is the same to the bit."""
    images, found = Images(storage), []
    for in_log in (False, True):
        forget(storage)
        process = Process(storage, Clock())
        for start in range(0, 100, 10):
            notes = some(images, start)
            if in_log:
                process.note(notes)
                notes = []
            process.round(notes)
            process.settle()
        found.append((plain(process.told()), process.heard.windows, kept(process)))
        process.end()
    assert found[0] == found[1]
    assert found[0][1]
    numbers = [each["number"] for each in found[0][2]]
    assert numbers == [number for number in range(0, 100, 3) if number % 10 not in (4, 7)]


def test_own_notes_are_written_once_and_only_what_is_left(process: Process) -> None:
    """Contract: with the state, in one transaction; a round without notes writes nothing."""
    images, database = Images(process.storage), process.storage.database
    process.round(some(images, 0))
    with commits(database) as done:
        process.round(some(images, 10))
        assert len(done) == 1
        process.round()
        assert len(done) == 1
    with database.read() as connection:
        sizes = connection.scalars(select(func.length(DRIFT_SQUEEZES.c.content))).all()
    assert len(sizes) == 2
    assert max(sizes) - min(sizes) <= CHANNELS * 4  # three images each, and four


def gather(process: Process, images: Images, *, in_log: bool) -> None:
    """Let notes of seventy images wait to be taken: in the log, or in the process that cannot."""
    for start in range(0, 70, 10):
        notes = some(images, start)
        if in_log:
            process.note(notes)
            continue
        with broken(process.storage, gone(), "read", 0):
            process.round(notes)
    assert process.writer.images == (0 if in_log else 70)


@pytest.mark.parametrize("in_log", [True, False])
def test_many_notes_are_taken_some_at_a_time(
    process: Process, monkeypatch: pytest.MonkeyPatch, *, in_log: bool
) -> None:
    """Contract: of seven, three in a transaction at most, in order; then none is left."""
    monkeypatch.setattr(taker, "AT_ONCE", 3)
    monkeypatch.setattr(
        process.monitors.testing, "submit", lambda _full: False
    )  # no windows' writes
    database = process.storage.database
    process.round()
    gather(process, Images(process.storage), in_log=in_log)
    with commits(database) as done:
        process.round()
    assert len(done) == 1 + 3  # the lease, and what is taken
    assert (process.told().images, process.told().dropped, process.writer.images) == (70, 0, 0)
    numbers = [number for number in range(0, 70, 3) if number % 10 not in (4, 7)]
    assert [(each["number"], each["id"]) for each in kept(process)] == [
        (number, str(number)) for number in numbers
    ]


@pytest.mark.parametrize("in_log", [True, False])
def test_one_note_that_cannot_be_taken_drops_no_other(
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    in_log: bool,
) -> None:
    """Contract: those that are taken together with it are taken; it is counted, and told once."""
    real = taking._images

    def fails(*arguments: Any) -> Any:
        if arguments[2].batch == 4:
            raise KeyError("scores")
        return real(*arguments)

    monkeypatch.setattr(taking, "_images", fails)
    gather(process, Images(process.storage), in_log=in_log)
    process.round()
    assert (process.told().images, process.told().dropped, process.writer.images) == (60, 10, 0)
    ids = {int(each["id"]) for each in kept(process)}
    assert not ids & {*range(40, 50)}
    assert max(ids) > 60
    assert caplog.text.count("left out of drift") == 1


def test_what_others_take_does_not_wait_for_what_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a process that dies while it takes its own has left the rest in the log."""
    for first, second in opened(tmp_path / "data", None, 2):
        known = first.versions.get(NAME).detector
        first.versions.create(known.having(spec=replace(known.spec, name="nuts")), BY)
        bolts, nuts, clock = Images(first), Images(first, "nuts"), Clock()
        process, other = Process(first, clock), Process(second, clock)
        process.round(some(bolts, 0))
        other.round(some(nuts, 0))

        def dies(*_arguments: object) -> None:
            raise KilledError

        monkeypatch.setattr(process.writer.taker, "take", dies)
        with pytest.raises(KilledError):
            process.round([*some(bolts, 10), *some(nuts, 10)])
        identity = first.versions.entry("nuts").id
        assert [note.images for note in DriftNotes(first.database).untaken(identity, 9)] == [10]
        process.end()
        other.end()


@pytest.mark.parametrize("claimed", [True, False])
def test_own_notes_of_a_deleted_detector_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, claimed: bool
) -> None:
    """Contract: whether it went before its notes were claimed, or before they were taken."""
    for (storage,) in opened(tmp_path / "data", None, 1):
        process, images = Process(storage, Clock()), Images(storage)
        process.round(some(images, 0))
        take = process.writer.taker.take

        def late(name: str, *others: Any, storage: Storage = storage, take: Any = take) -> None:
            storage.versions.delete(NAME, BY)
            take(name, *others)

        if claimed:
            monkeypatch.setattr(process.writer.taker, "take", late)
        else:
            storage.versions.delete(NAME, BY)
        process.round(some(images, 10))
        assert process.writer.images == 0
        assert process.waiting == []
        process.end()
