"""Windows are tested in one thread that gives way to all others; no request waits for it.

At most ``AT_ONCE`` windows are at hand; others wait in their state, as do those that a process has
not tested when it ends. What was said is fetched by whoever keeps the states.
"""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from app.errors import MissingBlobError, RowsNotKeptError
from app.monitoring.references import References
from app.monitoring.window_record import Said
from app.monitoring.windows import Full
from app.priority import give_way
from detector.drift.window import WindowTest
from detector.errors import (
    ArtefactError,
    DegenerateDataError,
    InsufficientCalibrationError,
    InvalidSpecError,
)

log = logging.getLogger(__name__)

AT_ONCE = 4
STOP_S = 5.0
"""How long a process that ends waits for the test under way."""
_LASTING = (
    ArtefactError,
    DegenerateDataError,
    InsufficientCalibrationError,
    InvalidSpecError,
    MissingBlobError,
    RowsNotKeptError,
)
"""What would fail again with the next window."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A window and what was said of it; None if that failed, and why it always will, if so."""

    full: Full
    said: Said | None
    never: str = ""


class WindowTester:
    """Takes full windows, and holds what was said of them until it is fetched."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._pool = ThreadPoolExecutor(1, "windows", initializer=give_way)
        self._lock = threading.Lock()
        self._waiting: set[Future[None]] = set()
        self._done: list[Answered] = []
        self._stopped = False

    def submit(self, full: Full) -> bool:
        """Take a window; return whether there was room and time for it."""
        with self._lock:
            self._waiting = {each for each in self._waiting if not each.done()}
            if self._stopped or len(self._waiting) >= AT_ONCE:
                return False
            self._waiting.add(self._pool.submit(self._test, full))
        return True

    def fetch(self) -> list[Answered]:
        """Return what was said since the last time, in order."""
        with self._lock:
            done, self._done = self._done, []
        return done

    def put_back(self, results: list[Answered]) -> None:
        """Hold on to what could not be kept."""
        with self._lock:
            self._done[:0] = results

    def settle(self, timeout_s: float | None = None) -> None:
        """Wait for the windows that are being tested."""
        with self._lock:
            waiting = set(self._waiting)
        wait(waiting, timeout_s)

    def stop(self) -> None:
        """Give up windows that wait, and wait a little for the one under way."""
        with self._lock:
            self._stopped = True
        self._pool.shutdown(wait=False)  # one that it cancels would be waited for in vain
        self.settle(STOP_S)

    def _test(self, full: Full) -> None:
        if self._stopped:
            return
        said, never = None, ""
        try:
            reference = self._references.of(full)
            seed = int(full.stored.entry.id, 16)
            report = WindowTest(reference, full.promise, seed).test(full.window, full.number)
            said = Said.of(report, full.window, full.number)
        except _LASTING as error:
            never = f"Windows are not tested any more: {error}."
            log.warning("windows of %r: %s", full.stored.entry.name, error)
        except Exception as error:
            log.error("a window of %r was not tested", full.stored.entry.name, exc_info=error)
        with self._lock:
            self._done.append(Answered(full, said, never))
