"""Several threads and processes on one directory of detectors."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from storage_helpers import at_once, change_again_and_again, detector, following, same

from app import storage as module
from app.errors import ConflictError, DetectorExistsError, UnknownDetectorError
from app.storage import Storage, Stored
from detector.artefact import load_detector
from detector.detector import Detector


def test_first_start_of_several_at_once(tmp_path: Path) -> None:
    """Contract: services that start together on a new directory all start."""
    for turn in range(5):
        opened = at_once([partial(Storage, tmp_path / str(turn))] * 6)
        assert [type(storage) for storage in opened] == [Storage] * 6
        for storage in opened:
            assert storage.names() == []
            storage.close()


def test_exactly_one_of_several_creates_changes_and_deletes(tmp_path: Path) -> None:
    """Law: of those who start from the same state one wins, and the state is the winner's."""
    storages = [Storage(tmp_path) for _ in range(2)] * 3
    for turn in range(5):
        made = at_once([partial(s.create, detector(seed=n)) for n, s in enumerate(storages)])
        assert _only_winner(made, DetectorExistsError).detector.version == 1
        old = storages[0].get("bolts").detector
        news = [following(old, seed=10 * turn + n) for n in range(6)]
        put = at_once([partial(s.put, old, n) for s, n in zip(storages, news, strict=True)])
        _only_winner(put, ConflictError)
        won = news[[type(outcome) for outcome in put].index(Stored)]
        assert all(same(storage.get("bolts").detector, won) for storage in storages)
        gone = at_once([partial(s.delete, "bolts") for s in storages])
        assert sorted(str(type(outcome).__name__) for outcome in gone) == [
            "NoneType",
            *["UnknownDetectorError"] * 5,
        ]
        assert list((tmp_path / "detectors").iterdir()) == []
    for storage in storages[:2]:
        storage.close()


def _only_winner(outcomes: list[object], loss: type[Exception]) -> Stored:
    winners = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    assert [type(o) for o in outcomes if not isinstance(o, Stored)] == [loss] * 5
    assert len(winners) == 1
    return winners[0]


@pytest.mark.slow
def test_processes_never_lose_a_version(tmp_path: Path) -> None:
    """Law: of two processes that change one detector, every version belongs to exactly one."""
    storage = Storage(tmp_path)
    storage.create(detector())
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as processes:
        work = [processes.submit(change_again_and_again, tmp_path, 15) for _ in range(2)]
        theirs = [set(process.result(timeout=120)) for process in work]
    assert theirs[0] | theirs[1] == set(range(2, 32))
    assert storage.get("bolts").detector.version == 31
    assert len(list((tmp_path / "detectors").iterdir())) == 1
    storage.close()


def test_readers_see_whole_versions_in_order(tmp_path: Path) -> None:
    """Contract: while others write, every read gives a version, never one older than before."""
    storage, other = Storage(tmp_path), Storage(tmp_path)
    storage.create(detector())

    def read(reader: Storage) -> list[Detector]:
        seen = [reader.get("bolts").detector]
        while seen[-1].version < 16:
            seen.append(reader.get("bolts").detector)
        return seen

    write = partial(change_again_and_again, tmp_path, 15)
    _, *readings = at_once([write, partial(read, storage), partial(read, other)])
    for seen in readings:
        assert isinstance(seen, list), seen
        assert all(a.version <= b.version for a, b in pairwise(seen))
    storage.close()
    other.close()


@pytest.mark.parametrize("change", ["put", "delete"])
def test_reader_that_meets_a_change_takes_the_new_state(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a file that was removed between row and read is no damage: it was replaced."""
    reader, writer = Storage(tmp_path), Storage(tmp_path)
    first = detector()
    writer.create(first)
    load = load_detector

    def after_the_change(path: Path) -> Detector:
        monkeypatch.setattr(module, "load_detector", load)
        writer.put(first, following(first)) if change == "put" else writer.delete("bolts")
        return load(path)

    monkeypatch.setattr(module, "load_detector", after_the_change)
    if change == "put":
        assert same(reader.get("bolts").detector, following(first))
    else:
        with pytest.raises(UnknownDetectorError):
            reader.get("bolts")
    reader.close()
    writer.close()
