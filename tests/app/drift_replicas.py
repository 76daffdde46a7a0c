"""Several processes that watch one detector, as objects: fed, killed, stalled, cut off."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from history_helpers import NAME, line
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, delete
from watch_helpers import watched

from app.drift_telemetry import DriftTelemetry
from app.errors import StorageUnavailableError
from app.monitoring.keeping import Monitors
from app.monitoring.notes import Note
from app.monitoring.showing import Showing
from app.monitoring.telling import Told
from app.monitoring.window_record import Said
from app.monitoring.writer import Writer
from app.storage import Storage
from app.storage.drift_tables import DRIFT_NOTES, DRIFT_STATES, DRIFT_WRITERS
from app.storage.drift_writers import LEASE_S
from detector.drift.promise import Promise

BLOCKS = {"early": 6, "late": 12}
CHANNELS = sum(BLOCKS.values())
PROMISE = 1000.0
AT = datetime(2026, 3, 4, 9, 40, tzinfo=UTC)
Point = Literal["read", "before", "after"]
"""Where something breaks: in a read, or in a write before or after its commit."""


class KilledError(BaseException):
    """The process ends here."""


class Clock:
    """A time that passes when it is told to."""

    def __init__(self, hours: float = 0) -> None:
        self.at = AT + timedelta(hours=hours)

    def __call__(self) -> datetime:
        return self.at

    def leases_run_out(self) -> None:
        """Let so much time pass."""
        self.at += timedelta(seconds=LEASE_S + 1)


class Images:
    """Images of one camera, each with a number; later ones may be shifted."""

    def __init__(self, storage: Storage, name: str = NAME) -> None:
        self._stored = storage.versions.get(name)
        self._scores = self._stored.detector.require_calibrated().scores
        self._numbers = itertools.count()

    def next(self, count: int, shift: float = 0.0) -> list[Note]:
        """Return notes of so many images, a few at a time."""
        numbers = [next(self._numbers) for _ in range(count)]
        return [self._note(numbers[i : i + 5], shift) for i in range(0, count, 5)]

    def again(self, numbers: Sequence[int], shift: Callable[[int], float]) -> list[Note]:
        """Return notes of these images, one by one."""
        return [self._note([number], shift(number)) for number in numbers]

    def _note(self, numbers: Sequence[int], shift: float) -> Note:
        rngs = [np.random.default_rng([number, 5]) for number in numbers]
        squeeze = np.stack([rng.gamma(2, size=CHANNELS) + shift for rng in rngs])
        scores = [float(rng.choice(self._scores)) + shift for rng in rngs]
        looks = [(125.0 + rng.normal() + 9 * shift, 20.0, 30.0) for rng in rngs]
        at = AT + timedelta(seconds=numbers[0])
        ids = [str(number) for number in numbers]
        return Note(self._stored, at, ids, scores, looks, squeeze.astype(np.float32))


class Heard(Showing):
    """What a process has shown of windows, by the number of their last image."""

    def __init__(self) -> None:
        self.telemetry = DriftTelemetry(CollectorRegistry())
        self.telemetry.watch(NAME)
        super().__init__(self.telemetry)
        self.windows: list[tuple[int, float]] = []

    def tested(self, model: str, said: Said, raised: Any) -> None:
        """Remember it."""
        super().tested(model, said, raised)
        self.windows.append((said.last_image, said.p_value))


class Process:
    """One process: it ends when it is killed, and another may begin on its storage."""

    def __init__(self, storage: Storage, clock: Clock, *, promise: float = PROMISE) -> None:
        self.storage, self.heard = storage, Heard()
        self.monitors = Monitors(Promise(promise), storage, self.heard, 4, (), BLOCKS)
        self.writer = Writer(self.monitors, storage.database, clock)
        self.waiting: list[Note] = []
        self.dropped: Counter[str] = Counter()

    def round(self, notes: Sequence[Note] = ()) -> None:
        """Take notes, and do what a process does each second."""
        self.waiting += notes
        self.writer.round(self.waiting, self.dropped)

    def note(self, notes: Sequence[Note]) -> None:
        """Leave notes in the log, as a process does whose turn it is not to take them."""
        self.waiting += notes
        self.writer._gather(self.waiting, self.dropped)
        self.writer._write()

    def settle(self) -> None:
        """Wait for windows under test, and keep what is said of them."""
        for _ in range(3):  # one that waits begins when another ends
            self.round()
            self.monitors.testing.settle(60)
        self.round()

    def told(self) -> Told:
        """Return how the monitors stand."""
        return self.monitors.told(NAME)

    def order(self) -> list[int]:
        """Return the images that are kept in the log, in order of their numbers."""
        identity = self.storage.versions.entry(NAME).id
        kept = self.monitors._images(identity, 0, 10**9)
        assert [each.number for each in kept] == [*range(kept[0].number, kept[-1].number + 1)]
        return [int(each.id) for each in kept]

    def end(self) -> None:
        """Leave nothing behind that runs."""
        self.monitors.testing.stop()


@contextmanager
def broken(
    storage: Storage, error: BaseException, at: Point, turn: int
) -> Iterator[Callable[[], bool]]:
    """Let the n-th read, or write, fail from now on: once, and what was written may be kept.

    Give what says whether it has.
    """
    database = storage.database
    read, write, left = database.read, database.write, [turn]

    def falls(kind: str) -> bool:
        left[0] -= (at == "read") == (kind == "read")
        return left[0] == -1 and (at == "read") == (kind == "read")

    @contextmanager
    def reads() -> Iterator[Connection]:
        if falls("read"):
            raise error
        with read() as connection:
            yield connection

    @contextmanager
    def writes(**what: bool) -> Iterator[Connection]:
        now = falls("write")
        with write(**what) as connection:
            yield connection
            if now and at == "before":
                raise error
        if now:
            raise error

    database.read, database.write = reads, writes  # type: ignore[method-assign]
    try:
        yield lambda: left[0] < 0
    finally:
        del database.read, database.write


def gone() -> StorageUnavailableError:
    """Return what a database says that cannot be reached."""
    return StorageUnavailableError("the connection broke")


def opened(directory: Path, url: str | None, processes: int) -> Iterator[list[Storage]]:
    """Make the detector, and open the storage for each process."""
    with line(directory, database=url) as running:
        watched(running)
        body = {"method": "manual", "value": 1e6}
        path = f"/v1/detectors/{NAME}/threshold"
        assert running.client.put(path, json=body).status_code == 200
    found = [Storage.open(directory, database=url) for _ in range(processes)]
    yield found
    for storage in found:
        storage.close()


def forget(storage: Storage) -> None:
    """Let the detector be watched from the beginning."""
    with storage.database.write() as connection:
        for table in (DRIFT_NOTES, DRIFT_STATES, DRIFT_WRITERS):
            connection.execute(delete(table))


def plain(told: Told) -> dict[str, Any]:
    """Return all that is told but for the moment at which watching began.

    Alarms are by their images: one of a window is told when its test has ended.
    """
    names = ("state", "images", "dropped", "streams", "window", "thinning")
    alarms = sorted(told.alarms, key=lambda each: (each.image, each.stream))
    return {"alarms": alarms, **{name: getattr(told, name) for name in names}}
