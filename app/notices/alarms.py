"""Which alarms a monitor has, as notices: what is told of it when its state is kept."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from app.monitoring.monitor import Monitor, Raised
from app.monitoring.telling import Told, tell
from app.notices.content import ANOTHER_BASELINE, Ending, alarm
from app.storage.drift_states import Change
from app.storage.notices import Standing
from app.storage.version_rows import Entry
from detector.drift.state import WINDOW


def standing(
    entry: Entry, monitor: Monitor, change: Change | None, sinks: Sequence[str]
) -> Standing | None:
    """Return all alarms that a monitor has after a change; None if there is nobody to tell.

    Which of them are new, and which are over, follows from what was told before: it does not matter
    what the change was, a person's, an image's, a window's, or another calibration.
    """
    if not sinks:
        return None
    ending = ANOTHER_BASELINE
    if change is not None:
        ending = Ending(change.action, change.by.who, change.by.reason)
    alarms = sorted(_alarms(tell(entry, monitor)), key=lambda each: each["image_number"])
    return Standing(sinks, {each["id"]: each for each in alarms}, ending)


def _alarms(told: Told) -> Iterator[dict[str, Any]]:
    for stream in told.streams:
        if stream.latched is not None:
            yield _notice(
                told,
                stream.monitor,
                stream.latched,
                evidence_log10=stream.evidence_log10,
                threshold_log10=stream.threshold_log10,
                top_images=[stream.latched.id],
            )
    window = told.window
    if window is not None and window.latched is not None:
        said = window.alarmed  # none if it was kept by another version of this program
        yield _notice(
            told,
            WINDOW,
            window.latched,
            evidence_log10=-math.log10(window.level if said is None else said.p_value),
            threshold_log10=-math.log10(window.level if said is None else said.level),
            top_images=[] if said is None else [each for each, _ in said.contributors],
        )


def _notice(told: Told, monitor: str, raised: Raised, **more: Any) -> dict[str, Any]:
    return alarm(
        told.entry.id,
        told.entry.name,
        version=told.entry.in_service,
        monitor=monitor,
        stream=raised.stream,
        image=raised.id,
        image_number=raised.image,
        at=raised.at,
        promise=told.promise or "",
        summary=told.summary,
        **more,
    )
