"""Several processes watch one detector, and one meets what another, or a fault, has left behind."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from drift_replicas import Clock, Images, Process, forget, opened
from history_helpers import NAME, line
from postgres_server import Postgres
from sqlalchemy import Connection, event, func, select, update
from watch_helpers import parts, watched

from app.monitoring import taking
from app.monitoring.writer import Writer
from app.storage import Storage
from app.storage.drift_notes import DriftNotes
from app.storage.drift_tables import DRIFT_NOTES, DRIFT_SQUEEZES
from detector.drift import window
from detector.drift.autocorrelation import Thinning

SIZE = 24


@pytest.fixture(scope="module")
def storages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Storage]]:
    """One detector with small windows, and a storage for each of two processes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(window, "WINDOW_IMAGES", SIZE)
        yield from opened(tmp_path_factory.mktemp("trouble") / "data", None, 2)


@pytest.fixture
def processes(storages: list[Storage]) -> Iterator[list[Process]]:
    """Two processes that have seen nothing; the first one to write holds the lease."""
    forget(storages[0])
    clock = Clock()
    found = [Process(storage, clock) for storage in storages]
    yield found
    for process in found:
        process.end()


def still(_number: int) -> float:
    """Return that no image is shifted."""
    return 0.0


def test_a_note_that_another_takes_meanwhile_is_not_taken_twice_nor_lost(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: not even where a thinning has made its squeezes fewer, and others wait behind it."""
    of_scores = classmethod(lambda cls, scores: cls(3.0))
    monkeypatch.setattr(Thinning, "of_scores", of_scores)
    first, other = processes
    images = Images(first.storage)
    first.round(images.again(range(10), still))
    squeezes, begun = DriftNotes.squeezes, [True]

    def taken_meanwhile(notes: DriftNotes, note_id: int) -> bytes:
        if begun:
            begun.pop()
            identity = other.storage.versions.entry(NAME).id
            other.writer.taker.take(NAME, identity)  # as an acknowledgement does, without a lease
            other.note(images.again(range(20, 27), still))
        return squeezes(notes, note_id)

    monkeypatch.setattr(DriftNotes, "squeezes", taken_meanwhile)
    first.note(images.again(range(10, 20), still))
    first.round()
    assert not begun
    first.round()
    other.round()
    told = first.told()
    assert (told.images, told.dropped) == (27, 0)
    assert other.told().images == 27


def test_notes_that_cannot_be_taken_in_are_counted_and_stop_no_others(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: told in the log; those that came meanwhile are left alone."""
    process, other = processes
    images = Images(process.storage)
    process.round(images.again(range(10), still))

    def fails(*_arguments: object) -> None:
        monkeypatch.undo()
        other.round(images.again(range(20, 27), still))
        raise KeyError("scores")

    monkeypatch.setattr("app.monitoring.taker.take_in", fails)
    process.round(images.again(range(10, 20), still))
    process.round()
    told = process.told()
    assert (told.images, told.dropped) == (17, 10)
    assert "left out of drift" in caplog.text


def test_a_window_that_cannot_be_read_waits_no_more(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: told in the log and as untested; the log does not grow, later windows are tested"""
    monkeypatch.setattr(taking, "AT_HAND", 5)
    process, _ = processes
    images = Images(process.storage)
    process.round(images.again(range(10), still))
    with process.storage.database.write() as connection:
        connection.execute(update(DRIFT_SQUEEZES).values(content=b"damaged"))
    for start in range(10, 160, 10):
        process.round(images.again(range(start, start + 10), still))
        process.settle()
    with process.storage.database.read() as connection:
        notes = connection.scalar(select(func.count()).select_from(DRIFT_NOTES))
    assert notes is not None
    assert notes < 6
    assert (process.told().images, process.told().dropped) == (160, 0)
    counted = process.heard.telemetry.windows
    assert counted.labels(NAME, "error")._value.get() == 1
    assert counted.labels(NAME, "tested")._value.get() == 160 // SIZE - 1
    assert "a window of 'bolts' cannot be read" in caplog.text


def test_a_process_that_comes_back_tests_the_windows_of_now(
    storages: list[Storage], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Law: what waited when it held the lease last may be answered, and its images removed."""
    monkeypatch.setattr(taking, "AT_HAND", 5)
    forget(storages[0])
    clock, images = Clock(), Images(storages[0])
    slow, other = (Process(storage, clock) for storage in storages)
    with monkeypatch.context() as patched:
        patched.setattr(slow.monitors.testing, "submit", lambda _full: False)
        slow.round(images.again(range(SIZE), still))
    clock.leases_run_out()
    other.settle()
    other.round(images.again(range(SIZE, 44), still))
    other.settle()
    with monkeypatch.context() as patched:
        patched.setattr(other.monitors.testing, "submit", lambda _full: False)
        other.round(images.again(range(44, 60), still))
    clock.leases_run_out()
    slow.settle()
    assert [last for last, _ in other.heard.windows] == [SIZE - 1]
    assert [last for last, _ in slow.heard.windows] == [2 * SIZE - 1]
    assert caplog.text == ""
    for process in (slow, other):
        process.end()


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_taken_while_it_is_told_is_told(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Law: images are either waiting or taken, whenever somebody asks; none is both."""
    first, other = processes
    images = Images(first.storage)
    first.round(images.again(range(10), still))
    other.round(images.again(range(10, 20), still))
    known = other.monitors._notes.untaken

    def untaken(identity: str, limit: int) -> object:
        if when == "before":
            first.round()
        found = known(identity, limit)
        if when == "after":
            first.round()
        return found

    monkeypatch.setattr(other.monitors._notes, "untaken", untaken)
    assert other.told().images == first.told().images == 20


def test_a_database_that_only_reads_delays_and_loses_nothing(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Law: so a server is for a while after a failover; new connections are made."""
    with postgres.database() as url:
        (storage,) = next(opened(tmp_path / "data", url, 1))
        process, images = Process(storage, Clock()), Images(storage)
        process.round(images.again(range(5), still))
        engine = storage.database._engine
        connections: list[object] = []

        def only_reads(connection: Connection) -> None:
            connections.append(connection.connection.dbapi_connection)
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

        event.listen(engine, "begin", only_reads)
        process.round(images.again(range(5, 10), still))
        process.round()
        event.remove(engine, "begin", only_reads)
        assert len(set(map(id, connections))) > 1
        assert process.writer.images == 5
        process.round()
        assert (process.told().images, process.told().dropped) == (10, 0)
        process.end()
        storage.close()


def test_the_task_outlives_any_error_and_what_waits_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Law: what no code foresaw is told in the log, and the images are taken in later, once."""
    with line(tmp_path) as running:
        watched(running)
        running.score(parts(7006, 3))
        before = running.get("/drift")["images"]
        with monkeypatch.context() as patched:

            def fails(*_arguments: object) -> None:
                raise RuntimeError("nobody has foreseen it")

            patched.setattr(Writer, "round", fails)
            running.score(parts(7000, 3))
            until = time.monotonic() + 60
            while "nobody has foreseen it" not in caplog.text:
                assert time.monotonic() < until
                time.sleep(0.1)
            patched.undo()
            patched.setattr(DriftNotes, "append", fails)
            running.score(parts(7003, 3))
            running.get("/drift")
        assert "nobody has foreseen it" in caplog.text
        assert running.get("/drift")["images"] == before + 6
        assert running.client.get("/livez").status_code == 200
