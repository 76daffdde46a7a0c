"""Every scored image of the versions in service goes to its detector's monitor, in the background.

Scoring waits for none of it: notes gather in a bounded buffer, and each second one task takes them
in and keeps what became of the state, whole or not at all. What cannot be kept stays in the buffer
and is tried again from what was kept last; so no image counts twice (unless the database keeps a
state and then is away, both for its answer and for a look), and what a crash forgets is a second of
evidence. Images for which the buffer has no room are counted in the state. Windows that these fill
are tested by another thread (``testing``); what it says is kept in the same way.

Several processes may watch the same detector: who finds that another has written goes on from that
state with the same images. The evidence is that of all images; their order is true to the second.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from app.errors import (
    ConflictError,
    DriftNotWatchedError,
    StorageUnavailableError,
)
from app.health.heartbeats import Heartbeats
from app.monitoring.keeping import Monitors, Work
from app.monitoring.monitor import Monitor, Note
from app.monitoring.showing import Showing
from app.monitoring.telling import Told
from app.scoring.judging import Seen
from app.settings import Settings
from app.storage import Storage
from app.storage.audit import By
from app.storage.drift_states import Change
from app.storage.tables import now
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from app.unbroken import unbroken
from detector.drift.promise import Promise
from detector.drift.state import MONITORS
from detector.errors import DetectorError

log = logging.getLogger(__name__)

GATHER_S = 1.0
"""How long notes wait for others: as old as that may be what is kept."""
WAITING_IMAGES = 10_000
"""Most images that wait, some 10 MB."""
SQUEEZED_IMAGES = 2000
"""Most of them with squeezes, some 15 MB; later ones are in no window."""
COMPLAIN_S = 60.0
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
        self._waiting: list[Note] = []
        self._images = 0
        self._dropped: Counter[str] = Counter()
        self._some, self._stopping = asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._complained_s = -COMPLAIN_S

    def start(self) -> None:
        """Begin to watch."""
        if self._monitors is not None:
            loop = asyncio.get_running_loop()
            self._monitors.testing.wake = partial(loop.call_soon_threadsafe, self._some.set)
            self._task = asyncio.create_task(self._work(self._monitors), name="drift")
            self._heartbeats.watch(self._task, "drift")

    async def stop(self) -> None:
        """Keep what is left."""
        self._stopping.set()
        self._some.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)  # it has told if it died
        if self._monitors is not None:
            await asyncio.to_thread(self._monitors.testing.stop)
            await self._flush(self._monitors)

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
            self._complain("images are scored faster than drift can be watched")
            return
        self._waiting.append(Note.of(seen, squeezed=self._images < SQUEEZED_IMAGES))
        self._images += len(seen.images)
        self._some.set()

    async def flush(self) -> None:
        """Take in all that was noted up to now."""
        if self._monitors is not None:
            await unbroken(self._flush(self._monitors))

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
        await self.flush()  # what was scored before counts as before
        async with self._writing:
            await unbroken(asyncio.to_thread(self._monitors.change, name, work))
            return await unbroken(asyncio.to_thread(self._monitors.told, name))

    async def _work(self, monitors: Monitors) -> None:
        try:
            await asyncio.to_thread(monitors.show_all)
        except (StorageUnavailableError, OSError) as error:
            self._complain("drift states are not shown until images come", error)
        while not self._stopping.is_set():
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._stopping.wait()
            self._some.clear()
            await self._flush(monitors)
            if self._waiting or monitors.testing.has_results:
                self._some.set()

    async def _flush(self, monitors: Monitors) -> None:
        async with self._writing:
            if not self._waiting and not monitors.testing.has_results:
                return
            waiting, self._waiting = self._waiting, []
            dropped, self._dropped = self._dropped, Counter()
            self._waiting[:0] = await asyncio.to_thread(self._keep, monitors, waiting, dropped)
            self._dropped.update(dropped)
            self._images = sum(len(note.ids) for note in self._waiting)

    def _keep(
        self, monitors: Monitors, waiting: Sequence[Note], dropped: Counter[str]
    ) -> list[Note]:
        """Take notes in, detector by detector; return those that could not be kept.

        What the states have counted goes from ``dropped``.
        """
        by_detector: dict[tuple[str, str], list[Note]] = {}
        for note in waiting:
            entry = note.stored.entry
            by_detector.setdefault((entry.name, entry.id), []).append(note)
        left: list[Note] = []
        for (name, identity), notes in by_detector.items():
            try:
                monitors.feed(name, notes, dropped[identity])
                del dropped[identity]
            except (StorageUnavailableError, ConflictError, OSError) as error:
                left += notes
                self._complain("drift states cannot be kept, and will be tried again", error)
            except DetectorError:
                del dropped[identity]  # it is gone, or cannot be watched: whoever asks is told
            except Exception as error:
                self._complain("images were left out of drift", error)
        try:
            monitors.settle()
        except (StorageUnavailableError, ConflictError, OSError) as error:
            self._complain("what was said of windows cannot be kept yet", error)
        return left

    def _complain(self, why: str, error: Exception | None = None) -> None:
        moment_s = time.monotonic()
        if moment_s - self._complained_s >= COMPLAIN_S:
            self._complained_s = moment_s
            log.error("%s", why, exc_info=error)


def _latched(monitor: Monitor) -> dict[str, object]:
    return {"latched": sorted({MONITORS[name] for name in monitor.state.latched})}


def _baseline(monitor: Monitor) -> dict[str, object]:
    known = monitor.reference
    return {"baseline": known.of, "version": known.version, "images": known.images}
