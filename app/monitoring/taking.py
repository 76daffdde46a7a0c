"""Notes of the log into a monitor: in order, each once, and what becomes of them then.

Nothing is written here: whoever only wants to tell how a monitor stands takes them in and forgets
it; whoever writes gives what becomes of the notes to the transaction that replaces the state.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.monitoring.log import Gathered, marked, read, taken
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Image, Raised
from app.storage.drift_notes import Taken, Untaken
from app.storage.version_reader import Stored
from detector.errors import ArtefactError

log = logging.getLogger(__name__)

AT_HAND = 400
"""Last monitored images whose squeezes are kept to be a baseline; some 3 MB of se-lite0's."""
AT_ONCE = 200
"""Notes taken by one transaction: each is what one process has gathered in a second or more."""
SOURCES = 64
"""Processes whose last batch a state knows, those heard of last."""


@dataclass(frozen=True, slots=True)
class _Kept:
    note: Untaken | Gathered
    images: Sequence[Image]
    numbers: dict[int, int]


@dataclass(slots=True)
class Taking:
    """What came of notes: images that were taken in, alarms, windows that cannot wait."""

    before: int
    images: list[Image] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    skipped: int = 0
    _kept: list[_Kept] = field(default_factory=list)
    _gone: list[int] = field(default_factory=list)

    def taken(self, monitor: Monitor, squeezes: Callable[[int], bytes]) -> Taken:
        """Return what becomes of the notes, for the monitor that took them in."""
        since = needed(monitor)
        marks, written = [], []
        for kept in self._kept:
            note, images, numbers = kept.note, kept.images, kept.numbers
            if not numbers or max(numbers.values()) < since:
                self._gone += in_log([note])
            elif isinstance(note, Gathered):
                written.append(taken(note, numbers))
            else:
                is_whole = len(numbers) == sum(each.squeezed for each in images)
                beside = None if is_whole else squeezes(note.id)
                marks.append(marked(note, images, numbers, beside))
        return Taken(marks, self._gone, since, self.before, written)


def take_in(stored: Stored, monitor: Monitor, notes: Sequence[Untaken | Gathered]) -> Taking:
    """Take notes into the monitor of the version in service."""
    found = Taking(monitor.state.images)
    for note in notes:
        if not _is_new(monitor, note):
            found._gone += in_log([note])
            continue
        monitor.dropped += note.dropped
        images = _images(stored, monitor, note)
        took = monitor.take(images)
        found.images += images
        found.raised += took.raised
        found.skipped += took.skipped
        found._kept.append(_Kept(note, images, took.numbers))
    return found


def leave_out(monitor: Monitor, notes: Sequence[Untaken | Gathered]) -> Taken:
    """Count the images of notes that cannot be taken in; return what becomes of the notes."""
    for note in notes:
        if _is_new(monitor, note):
            monitor.dropped += note.images + note.dropped
    return Taken([], in_log(notes), needed(monitor), monitor.state.images)


def in_log(notes: Sequence[Untaken | Gathered]) -> list[int]:
    """Return the ids of those notes that are in the log."""
    return [note.id for note in notes if isinstance(note, Untaken)]


def needed(monitor: Monitor) -> int:
    """Return the number from which on squeezes may be needed: by a window, or by a baseline."""
    at_hand = monitor.state.images - AT_HAND * int(monitor.state.thinning.every)
    return min(at_hand, monitor.windows.since)


def _is_new(monitor: Monitor, note: Untaken | Gathered) -> bool:
    """Return whether a note comes for the first time: it may have been written twice."""
    last = monitor.sources.pop(note.source, -1)
    monitor.sources[note.source] = max(last, note.batch)
    while len(monitor.sources) > SOURCES:
        del monitor.sources[next(iter(monitor.sources))]
    return note.batch > last


def _images(stored: Stored, monitor: Monitor, note: Untaken | Gathered) -> Sequence[Image]:
    """Return the images of a note if they are of what is in service, or have its scores."""
    try:
        logged = read(note)
    except ArtefactError as error:
        log.error("a note of %r cannot be read", stored.entry.name, exc_info=error)
        monitor.dropped += note.images
        return ()
    same = logged.version == stored.detector.version
    return logged.images if same or logged.key == monitor.reference.key else ()
