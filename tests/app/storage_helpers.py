"""Small detectors to keep, storages in both kinds, and processes and threads that change them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, event

from app.clock import now
from app.storage import Storage
from app.storage.audit import By
from app.storage.database import Database
from app.storage.detector_files import Files
from app.storage.lineage import Image
from app.storage.version_rows import Entry, Version, summary_of
from app.storage.versions import Stored
from detector.artefact import decision_bytes, fit_bytes
from detector.detector import Detector
from detector.moments import Moments
from detector.spec import Spec

BY = By("tester", "because", "request-1")
SCORES = np.array([0.5, 1.0, 1.5])
"""Of calibration images."""
CALIBRATION = SCORES.repeat(7)[:, None]
"""Enough for a target of 0.1."""


class Seconds:
    """Stands in for ``time`` and moves when it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@contextmanager
def commits(database: Database) -> Iterator[list[Connection]]:
    """Give the changes that are committed meanwhile, by the connections that made them."""
    done: list[Connection] = []

    def count(connection: Connection) -> None:
        done.append(connection)

    event.listen(database._engine, "commit", count)
    try:
        yield done
    finally:
        event.remove(database._engine, "commit", count)


@dataclass(frozen=True)
class Place:
    """Where a storage lies: it can be opened any number of times, and by other processes."""

    directory: Path
    database: str | None = None
    bucket: str | None = None

    def open(self) -> Storage:
        """Open it once more."""
        return Storage.open(self.directory, database=self.database, bucket=self.bucket)

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        """Give it, closed at the end."""
        storage = self.open()
        try:
            yield storage
        finally:
            storage.close()


KINDS = ("directory", "servers")


def place_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> Place:
    """Return an empty place: SQLite and a directory, or PostgreSQL and a bucket."""
    if kind == "directory":
        return Place(directory)
    ask = request.getfixturevalue
    return Place(directory, ask("postgres_url"), ask("bucket_location"))


def files(storage: Storage) -> set[str]:
    """Return the names of all blobs of detectors."""
    return set(storage.blobs.names("detectors"))


def detector(name: str = "bolts", seed: int = 0) -> Detector:
    """Return a detector; it differs by seed in what it was fitted to."""
    rows = np.random.default_rng(seed).normal(size=(9, 3))
    return Detector(
        Spec(name, "se-lite0", "f" * 64, scorer="gaussian"), statistics={"block": Moments.of(rows)}
    )


def following(old: Detector, seed: int = 1) -> Detector:
    """Return what another fit makes of a detector."""
    return replace(old, statistics=detector(seed=seed).statistics)


def calibrated(old: Detector) -> Detector:
    """Return what a calibration makes of a detector."""
    return old.calibrate(CALIBRATION, 0.1)


def same(one: Detector, other: Detector) -> bool:
    """Return whether two detectors are alike to the bit, whatever their number."""
    return (fit_bytes(one), decision_bytes(one)) == (fit_bytes(other), decision_bytes(other))


def three(storage: Storage) -> list[Stored]:
    """Return the versions of a detector that was created, calibrated, and given another line."""
    first = storage.versions.create(detector(), BY)
    second = storage.versions.add(first, calibrated(first.detector), "calibrate", BY)
    drawn = second.detector.decide("manual", {"value": 7.0})
    return [first, second, storage.versions.add(second, drawn, "threshold", BY)]


def image(number: int, group: str = "") -> Image:
    """Return an image known by a number."""
    return Image(f"{number:064x}", f"{number}.png", group, "detectors/a/rows/b/0", number)


def entry(kept: Detector, version: int = 1, *, in_service: int = 1) -> Entry:
    """Return the rows of a detector that was not stored."""
    made = Version(
        version, None, "create", summary_of(kept), {}, "tester", "", "", now(), Files("", "")
    )
    return Entry("0" * 32, kept.spec.name, in_service, version, None, now(), now(), made)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run calls in threads that start together; return results or exceptions, in order."""
    together = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def one(place: int, call: Callable[[], Any]) -> None:
        together.wait()
        try:
            outcomes[place] = call()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=one, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def change_again_and_again(place: Place, times: int, seed: int = 0) -> list[int]:
    """Add so many versions to the tip, as others do; return their numbers."""
    made = []
    with place.opened() as storage:
        for turn in range(times):
            tip = storage.versions.get("bolts", storage.versions.entry("bolts").tip)
            new = following(tip.detector, seed=seed + turn)
            made.append(storage.versions.add(tip, new, "replace", BY).detector.version)
    return made
