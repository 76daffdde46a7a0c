"""Several processes watch one detector: what they keep is what one that saw all images keeps."""

from collections.abc import Iterator

import pytest
from drift_replicas import Clock, Images, KilledError, Process, broken, forget, gone, opened, plain
from history_helpers import NAME
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from postgres_server import Postgres
from sqlalchemy import func, select

from app.monitoring import taking
from app.storage import Storage
from app.storage.drift_states import DriftStates
from app.storage.drift_tables import DRIFT_NOTES, DRIFT_SQUEEZES
from detector.drift import window

SIZE, PROCESSES = 24, 3
SHIFTED = 60
"""Images from this one on are shifted."""


@pytest.fixture(scope="module")
def small_windows() -> Iterator[None]:
    """Let windows be small, so that some are filled."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(window, "WINDOW_IMAGES", SIZE)
        yield


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def storages(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small_windows: None
) -> Iterator[list[Storage]]:
    """One detector, calibrated, and a storage for each process."""
    directory = tmp_path_factory.mktemp("replicas") / "data"
    if request.param == "sqlite":
        yield from opened(directory, None, PROCESSES)
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield from opened(directory, url, PROCESSES)


def shift(number: int) -> float:
    """Return how far an image is shifted."""
    return 2.0 * (number >= SHIFTED)


def alone(storage: Storage, numbers: list[int]) -> Process:
    """Return what one process keeps that sees these images in this order, a few at a time."""
    forget(storage)
    process = Process(storage, Clock())
    images = Images(storage)
    for start in range(0, len(numbers), 7):
        process.round(images.again(numbers[start : start + 7], shift))
        process.settle()
    process.end()
    return process


def same(storages: list[Storage], processes: list[Process]) -> list[int]:
    """Check that processes have kept what one would; return the images in their order."""
    last = Process(storages[0], Clock(hours=24))  # all leases have run out
    last.settle()
    order, told = last.order(), plain(last.told())
    heard = [each for process in (*processes, last) for each in process.heard.windows]
    for process in (*processes, last):
        process.end()
    one = alone(storages[0], order)
    assert len(order) == len(set(order))
    assert told == plain(one.told())
    assert sorted(heard) == one.heard.windows  # each once
    return order


def test_processes_in_turn_are_as_one(storages: list[Storage]) -> None:
    """Law: evidence, alarms, windows and what was said of them, to the last bit; all tell alike."""
    forget(storages[0])
    clock, images = Clock(), Images(storages[0])
    processes = [Process(storage, clock) for storage in storages]
    for turn in range(30):
        number = 4 * turn
        processes[turn * turn % 3].round(images.again(range(number, number + 4), shift))
        told = [plain(process.told()) for process in processes]
        assert told[0]["images"] == number + 4
        assert told[1]["images"] == told[2]["images"] == number + 4
        processes[turn % 3].settle()
    for process in processes:
        process.settle()
    assert plain(processes[0].told()) == plain(processes[1].told()) == plain(processes[2].told())
    assert processes[0].told().state == "alarm"
    takers = [process for process in processes if process.heard.windows]
    assert len(takers) == 1  # the first one holds the lease
    counted = takers[0].heard.telemetry.windows.labels(NAME, "tested")._value.get()
    assert counted == 120 // SIZE
    assert same(storages, processes) == [*range(120)]


def test_a_half_filled_window_goes_on_with_another_process(storages: list[Storage]) -> None:
    """Law: whoever dies, after each few images, windows are those that they would have been."""
    forget(storages[0])
    clock, images, processes = Clock(), Images(storages[0]), []
    for start in range(0, 100, 10):
        process = Process(storages[start // 10 % 3], clock)
        process.round(images.again(range(start, start + 10), shift))
        processes.append(process)  # and is never heard of again: what it tests is lost
        clock.leases_run_out()
    assert same(storages, processes) == [*range(100)]


def test_a_window_whose_writer_died_is_tested_by_the_next(storages: list[Storage]) -> None:
    """Law: without another image; once, although the dead one's answer comes, too."""
    forget(storages[0])
    clock, images = Clock(), Images(storages[0])
    first, second, third = (Process(storage, clock) for storage in storages)
    first.round(images.again(range(SIZE), shift))
    first.monitors.testing.settle(60)  # it knows, and has not said it
    second.settle()
    assert second.heard.windows == []  # it is not its turn
    clock.leases_run_out()
    second.settle()
    assert len(second.heard.windows) == 1
    first.round()
    third.settle()
    assert first.heard.windows == third.heard.windows == []
    assert same(storages, [first, second, third]) == [*range(SIZE)]


@pytest.mark.parametrize("in_log", [True, False])
def test_a_writer_that_stalls_past_its_lease_is_refused(
    storages: list[Storage], monkeypatch: pytest.MonkeyPatch, *, in_log: bool
) -> None:
    """Law: it comes back with notes that another has taken, or with its own, and takes the rest."""
    forget(storages[0])
    clock, images = Clock(), Images(storages[0])
    slow, other, third = (Process(storage, clock) for storage in storages)
    slow.round(images.again(range(10), shift))
    put, stalls = DriftStates.put, [True]

    def stalled(states: DriftStates, *arguments: object, **named: object) -> int:
        if states is slow.monitors._states and stalls.pop():
            stalls.append(False)
            clock.leases_run_out()
            other.round(images.again(range(20, 30), shift))
            third.round(images.again(range(30, 35), shift))
        return put(states, *arguments, **named)  # type: ignore[arg-type]

    notes, order = images.again(range(10, 20), shift), [*range(35)]
    if in_log:
        slow.note(notes)
        notes.clear()
    else:
        order[10:30] = [*range(20, 30), *range(10, 20)]
    with monkeypatch.context() as patched:
        patched.setattr(DriftStates, "put", stalled)
        slow.round(notes)
    assert other.told().images == 35
    assert same(storages, [slow, other, third]) == order


@pytest.mark.parametrize("at", ["read", "before", "after"])
@pytest.mark.parametrize("takes", [True, False])
def test_whatever_breaks_each_image_counts_once(
    storages: list[Storage], at: str, *, takes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Law: an error in each read and each write, before or after its commit, whoever's turn it is.

    A round claims a lease and keeps a state, or leaves notes to another process.
    """
    forget(storages[0])
    clock, images = Clock(), Images(storages[0])
    processes = [Process(storage, clock) for storage in storages]
    reached = []
    for turn in range(14):
        process = processes[turn % 2]
        if not takes:
            processes[2].round(images.again([56 + turn], shift))
        notes = images.again(range(turn * 4, turn * 4 + 4), shift)
        with broken(process.storage, gone(), at, turn // 2) as fell:  # type: ignore[arg-type]
            process.round(notes)
            reached.append(fell())
        process.round()
        if takes:
            clock.leases_run_out()
    clock.leases_run_out()
    for process in processes:
        process.settle()
    assert all(reached[: 4 if takes else 2])
    assert sorted(same(storages, processes)) == [*range(56 if takes else 70)]


@pytest.mark.parametrize("at", ["read", "before", "after"])
def test_whenever_a_process_is_killed_no_note_in_the_log_is_lost(
    storages: list[Storage], at: str
) -> None:
    """Law: at each read and each write; only what it had not written goes with it."""
    forget(storages[0])
    clock, images, processes = Clock(), Images(storages[0]), []
    for turn in range(7):
        process = Process(storages[turn % 3], clock)
        processes.append(process)
        process.round(images.again(range(turn * 8, turn * 8 + 4), shift))
        try:
            with broken(process.storage, KilledError(), at, turn):  # type: ignore[arg-type]
                process.round(images.again(range(turn * 8 + 4, turn * 8 + 8), shift))
        except KilledError:
            clock.leases_run_out()
    order = same(storages, processes)
    written = [n for n in range(56) if n % 8 < 4]
    assert [n for n in order if n % 8 < 4] == written
    assert len(order) > len(written)


def test_what_nothing_needs_is_removed(
    storages: list[Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the log holds the images at hand and those of windows, whatever was scored."""
    monkeypatch.setattr(taking, "AT_HAND", 30)
    forget(storages[0])
    process, images = Process(storages[0], Clock()), Images(storages[0])
    for start in range(0, 400, 10):
        process.round(images.again(range(start, start + 10), lambda _: 0.0))
        process.settle()
        with storages[0].database.read() as connection:
            notes = connection.scalar(select(func.count()).select_from(DRIFT_NOTES))
            squeezes = connection.scalar(select(func.count()).select_from(DRIFT_SQUEEZES))
        assert notes == squeezes <= (30 + 10) // 10
    assert process.order() == [*range(370, 400)]
    process.end()


OPS = st.lists(
    st.tuples(
        st.integers(0, PROCESSES - 1),
        st.sampled_from(["feed", "feed", "feed", "settle", "kill", "break", "expire"]),
        st.integers(1, 9),
        st.sampled_from(["read", "before", "after"]),
    ),
    min_size=4,
    max_size=30,
)


@settings(
    max_examples=12,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink would take minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ops=OPS)
def test_however_processes_interleave_and_die(
    storages: list[Storage], ops: list[tuple[int, str, int, str]]
) -> None:
    """Law: each image counts once, in the order of the log, as if one process had seen them all."""
    forget(storages[0])
    clock, images, known, fed = Clock(), Images(storages[0]), [], 0
    processes = [Process(storage, clock) for storage in storages]
    lost: set[int] = set()
    for which, what, count, at in ops:
        process = processes[which]
        numbers = range(fed, fed + count)
        fed += count
        notes = images.again(numbers, shift)
        if what == "settle":
            process.settle()
        elif what == "expire":
            clock.leases_run_out()
        error = KilledError() if what == "kill" else gone()
        turn = count if what in ("kill", "break") else 10**9
        try:
            with broken(process.storage, error, at, turn):  # type: ignore[arg-type]
                process.round(notes)
        except KilledError:
            lost |= {int(name) for note in process.waiting for name in note.ids}
            lost |= {*numbers}
            known.append(process)
            processes[which] = Process(process.storage, clock)
    for process in processes:
        process.round()
        process.round()
    order = same(storages, [*known, *processes])
    assert {*range(fed)} - lost <= {*order} <= {*range(fed)}
