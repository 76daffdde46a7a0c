"""What a monitor has to say, as plain values that nothing changes any more."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.drift_telemetry import State
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Raised, Reference
from app.monitoring.window_record import Said
from app.storage.version_rows import Entry
from detector.drift.autocorrelation import Thinning
from detector.drift.monitors import Ranked
from detector.drift.state import ENOUGH, INPUTS, MONITORS, WINDOW
from detector.drift.window import window_size


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of numbers; evidence and threshold as log10, ``since_baseline`` that of M."""

    monitor: str
    watches: str
    evidence_log10: float
    threshold_log10: float
    since_baseline_log10: float
    alarms: int
    latched: Raised | None


@dataclass(frozen=True, slots=True)
class Windowed:
    """How windows stand: images in the one being filled, and what was said of the last.

    ``alarmed`` is what was said of the one whose alarm is ``latched``.
    """

    images: int
    target_images: int
    level: float
    alarms: int
    last: Said | None
    alarmed: Said | None
    latched: Raised | None


@dataclass(frozen=True, slots=True)
class Told:
    """The state of a detector's monitors; all but the first three are empty if it is disabled."""

    entry: Entry
    state: State
    reasons: Sequence[str]
    promise: str | None = None
    promise_images: int | None = None
    reference: Reference | None = None
    thinning: Thinning | None = None
    images: int = 0
    dropped: int = 0
    streams: Sequence[Stream] = field(default=())
    alarms: Sequence[Raised] = field(default=())
    window: Windowed | None = None

    @property
    def summary(self) -> str:
        """How it stands, in a sentence."""
        if self.state == "disabled":
            return "The traffic is not watched."
        latched = {each.watches: each.latched for each in self.streams if each.latched}
        seen = self.window.alarmed if self.window and self.window.latched else None
        if self.window and self.window.latched:
            latched[WINDOW] = self.window.latched
        if latched:
            first = min(latched.values(), key=lambda each: each.image)
            found = (
                f"The traffic has changed: {', '.join(latched)} (first by image number "
                f"{first.image:,} at {first.at:%Y-%m-%d %H:%M:%S} UTC)."
            )
            return found if seen is None else f"{found} {seen.text[:1].upper()}{seen.text[1:]}."
        return f"No sign of a change in {self.images:,} images."


def word(monitor: Monitor) -> State:
    """Return the state in a word; an alarm goes before everything."""
    state = monitor.state
    if state.latched:
        return "alarm"
    return "warming_up" if state.warming_up or not state.thinning.settled else "in_control"


def tell(entry: Entry, monitor: Monitor) -> Told:
    """Return all there is to say of a detector that is watched."""
    state = monitor.state
    streams = [
        Stream(
            MONITORS[name],
            name,
            stream.evidence.log10,
            state.thresholds_log10[name],
            stream.evidence.log10_since_baseline,
            state.alarms[name],
            monitor.latched(name),
        )
        for name, stream in state.streams.items()
    ]
    return Told(
        entry,
        word(monitor),
        list(_reasons(monitor)),
        state.promise.statement,
        round(state.promise.images),
        monitor.reference,
        state.thinning,
        state.images,
        monitor.dropped,
        streams,
        tuple(reversed(monitor.raised)),
        _windowed(monitor),
    )


def _windowed(monitor: Monitor) -> Windowed | None:
    state, latched = monitor.state, monitor.latched(WINDOW)
    alarmed = monitor.alarmed_window if latched else None
    if monitor.tests_windows:
        size = window_size(state.window_promise)
        level = size / state.window_promise.images
    elif alarmed is not None:  # no other will come, but its alarm stays until acknowledged
        size, level = alarmed.images, alarmed.level
    else:
        return None
    return Windowed(
        monitor.windows.filling.images,
        size,
        level,
        state.alarms.get(WINDOW, 0),
        monitor.last_window,
        alarmed,
        latched,
    )


def _reasons(monitor: Monitor) -> list[str]:
    """Return what to know of the promise and of what may not be seen, in sentences."""
    state, found = monitor.state, []
    bulk = state.streams["bulk"]
    if state.warming_up and isinstance(bulk, Ranked):
        found.append(
            f"There are {bulk.ranks.n} images to compare with, and from {ENOUGH} on a change is "
            "seen well: calibrate with more, or wait."
        )
    every = state.thinning.every
    if not state.thinning.settled:
        found.append(
            f"Scores of neighbours were alike over {every:.0f} images, the most that could be "
            "tried: calibrate, or rebaseline, with more images in order of time."
        )
    elif every > 1:
        found.append(f"One in {every:.0f} images is watched, for scores of neighbours are alike.")
    if monitor.reference.of == "calibration":
        found.append(
            "The promise takes the order in which calibration images were sent for that of time: "
            "if it was not, rebaseline."
        )
    if INPUTS[0] not in state.streams:
        found.append(
            "Brightness, contrast and sharpness are not watched, as those of the calibration "
            "images are not known: calibrate with images again."
        )
    if monitor.reference.no_windows:
        found.append(monitor.reference.no_windows)
    if monitor.dropped:
        found.append(
            f"{monitor.dropped:,} images could not be watched: a change may be seen later."
        )
    return found
