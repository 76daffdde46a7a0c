"""Every scored image of the versions in service goes to its detector's monitor, in the background.

Scoring waits for none of it: notes gather in a bounded buffer, and each second one task takes them
in, or writes them to a log in the database, from which the detector's writer in another process
takes them (``writer``). Each detector that was asked costs some milliseconds a round, whatever it
was asked: of many detectors the notes gather for longer, so that rounds leave most of the time to
others. What cannot be written stays in the buffer and is tried again; what a crash forgets is a
second of evidence of one process, of many detectors some seconds. Images for which the buffer has
no room are counted in the state. Windows that these fill are tested by another thread
(``testing``).

Any number of processes may watch the same detector: the evidence is that of one which has seen all
images in the order in which they were written, true to these seconds.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping

from app.clock import now
from app.errors import DriftNotWatchedError, StorageUnavailableError
from app.health.heartbeats import Heartbeats
from app.monitoring.keeping import Monitors, Work
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Note
from app.monitoring.showing import Showing
from app.monitoring.telling import Told
from app.monitoring.writer import Writer
from app.scoring.judging import Seen
from app.settings import Settings
from app.storage import Storage
from app.storage.audit import By
from app.storage.drift_states import Change
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from app.unbroken import unbroken
from app.within import within
from detector.drift.promise import Promise
from detector.drift.state import MONITORS

GATHER_S = 1.0
"""How long notes wait for others at least."""
REST = 4.0
"""How many times as long as the last round took they wait, up to ``LONGEST_S``."""
LONGEST_S = 3.0
"""With a round of a second or two still half a lease, which the next one may have to prolong."""
WAITING_IMAGES = 10_000
"""Most images that wait, some 10 MB."""
SQUEEZED_IMAGES = 4000
"""Most of them with squeezes, some 30 MB; later ones are in no window. Half of them end a rest."""
SHOW_S = 15.0
"""How old what the metrics show of a detector may be that another process writes."""
OFF = "It is switched off: GATEWATCH_DRIFT_FALSE_ALARM_IMAGES is 0."


class Watch:
    """Takes notes of scored images; used in the event loop only."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        telemetry: Telemetry,
        heartbeats: Heartbeats,
        blocks: Mapping[str, int] | None = None,
    ) -> None:
        """Take the channels of each block of the backbone, whose squeezes windows are made of."""
        images = settings.drift_false_alarm_images
        self._versions = storage.versions
        self._heartbeats = heartbeats
        self._too_fast = telemetry.drift_dropped
        self._monitors: Monitors | None = None
        if images:
            showing = Showing(telemetry.drift)
            self._monitors = Monitors(
                Promise(float(images)),
                storage,
                showing,
                settings.cached_detectors,
                settings.sinks,
                blocks,
            )
            self._writer = Writer(self._monitors, storage.database)
        self._waiting: list[Note] = []
        self._images = 0
        self._dropped: Counter[str] = Counter()
        self._some, self._stopping = asyncio.Event(), asyncio.Event()
        self._many = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        if self._monitors is not None:
            self._task = asyncio.create_task(self._work(self._monitors), name="drift")
            self._heartbeats.watch(self._task, "drift")

    async def stop(self) -> None:
        """Write what is left, and leave the rest to others."""
        self._stopping.set()
        self._some.set()
        self._many.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)  # it has told if it died
        if self._monitors is not None:
            await asyncio.to_thread(self._monitors.testing.stop)
            await self._flush()
            with contextlib.suppress(StorageUnavailableError, OSError):  # it runs out
                await asyncio.to_thread(self._writer.release)

    def note(self, seen: Seen) -> None:
        """Take notes of what was judged by the version in service; of others none."""
        entry, detector = seen.stored.entry, seen.stored.detector
        if self._monitors is None or entry.version.version != entry.in_service:
            return
        if detector.calibration is None or detector.threshold is None or detector.stale:
            return
        if self._images + len(seen.images) > WAITING_IMAGES:
            self._dropped[entry.id] += len(seen.images)
            self._too_fast.inc(len(seen.images))
            self._writer.complain("images are scored faster than drift can be watched")
            return
        self._waiting.append(Note.of(seen, squeezed=self._images < SQUEEZED_IMAGES))
        self._images += len(seen.images)
        self._some.set()
        if self._images >= SQUEEZED_IMAGES / 2:
            self._many.set()

    async def flush(self) -> None:
        """Write all that was noted up to now, and take in what is this process's to take."""
        if self._monitors is not None:
            await unbroken(self._flush())

    async def settle(self) -> None:
        """Take in all that was noted up to now, and wait for the windows that this fills."""
        await self.flush()
        if self._monitors is not None:
            await unbroken(asyncio.to_thread(self._monitors.testing.settle))
        await self.flush()

    async def show(self, name: str) -> Told:
        """Return how a detector's monitors stand, with all images scored up to now.

        Raises:
            UnknownDetectorError, NotCalibratedError, StaleCalibrationError, StorageUnavailableError
        """
        if self._monitors is None:
            return Told(await asyncio.to_thread(self._versions.entry, name), "disabled", [OFF])
        await self.flush()
        async with self._writing:
            return await unbroken(asyncio.to_thread(self._monitors.told, name))

    async def acknowledge(self, name: str, monitor: str | None, by: By) -> Told:
        """Clear the alarms of a monitor, or all: evidence begins anew, the baseline stays.

        Raises:
            DriftNotWatchedError: if monitoring is switched off.
            as ``show``, and InvalidSpecError, ConflictError
        """

        def work(stored: Stored, found: Monitor) -> Change:
            before = _latched(found)
            found.state.acknowledge(monitor)
            after = _latched(found)
            return Change(by, "drift.acknowledge", stored.entry.name, before, after)

        return await self._by_hand(name, work)

    async def rebaseline(self, name: str, images: int, by: By) -> Told:
        """Compare with the last images of the version in service from now on; alarms are cleared.

        Raises:
            InsufficientCalibrationError: if there were not so many, or hardly any normal one.
            as ``acknowledge``.
        """

        def work(stored: Stored, found: Monitor) -> Change:
            assert self._monitors is not None  # else nobody calls it
            before = {**_latched(found), **_baseline(found)}
            self._monitors.rebaseline(stored, found, images, now())
            after = {**_latched(found), **_baseline(found)}
            return Change(by, "drift.rebaseline", stored.entry.name, before, after)

        return await self._by_hand(name, work)

    async def _by_hand(self, name: str, work: Work) -> Told:
        if self._monitors is None:
            raise DriftNotWatchedError(OFF)
        monitors, taker = self._monitors, self._writer.taker
        await self.flush()  # what was scored before counts as before

        def change() -> Told:
            taker.take(name, self._versions.entry(name).id)
            monitors.change(name, work)
            return monitors.told(name)

        async with self._writing:
            return await unbroken(asyncio.to_thread(change))

    async def _work(self, monitors: Monitors) -> None:
        shown_s, took_s = -SHOW_S, 0.0
        clock = asyncio.get_running_loop().time
        while True:
            if clock() - shown_s >= SHOW_S:
                shown_s = clock()
                await self._show(monitors)
            await self._pause(min(REST * took_s, LONGEST_S))
            if self._stopping.is_set():
                return
            started_s = clock()
            try:
                await self._flush()
            except Exception as error:  # what waits, waits for the next time
                self._writer.complain("drift is not watched", error)
            took_s = clock() - started_s

    async def _pause(self, rest_s: float) -> None:
        """Wait for notes, and then for more of them; and not for longer, as others have some."""
        if await within(GATHER_S, self._some):
            await within(GATHER_S, self._stopping)
        if not self._stopping.is_set():
            await within(rest_s - GATHER_S, self._many)
        self._some.clear()

    async def _show(self, monitors: Monitors) -> None:
        try:
            async with self._writing:
                await asyncio.to_thread(monitors.show_all)
        except Exception as error:
            self._writer.complain("drift states of other processes are not shown", error)

    async def _flush(self) -> None:
        async with self._writing:
            waiting, self._waiting = self._waiting, []
            dropped, self._dropped = self._dropped, Counter()
            try:
                await asyncio.to_thread(self._writer.round, waiting, dropped)
            finally:
                self._waiting[:0] = waiting
                self._dropped.update(dropped)
                waits = sum(len(note.ids) for note in self._waiting)
                self._images = self._writer.images + waits
                self._many.clear()


def _latched(monitor: Monitor) -> dict[str, object]:
    return {"latched": sorted({MONITORS[name] for name in monitor.state.latched})}


def _baseline(monitor: Monitor) -> dict[str, object]:
    known = monitor.reference
    return {"baseline": known.of, "version": known.version, "images": known.images}
