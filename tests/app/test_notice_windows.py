"""An alarm of a window is a notice like those of streams: it says what moved, and which images."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_helpers import BY, Place, three

from app.clock import now
from app.monitoring.monitor import Monitor
from app.monitoring.window_record import Said
from app.notices.alarms import standing
from app.storage import Storage
from app.storage.drift_states import Change
from detector.drift.promise import Promise


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """A store, of one kind: what is told does not depend on it."""
    with Place(tmp_path).opened() as storage:
        yield storage


@pytest.fixture
def monitor(storage: Storage) -> Monitor:
    """A monitor that takes windows."""
    begun = Monitor.begun(three(storage)[-1], Promise(10_000.0), now())
    begun.decide("")
    return begun


def said(p_value: float) -> Said:
    """Return what was said of a window."""
    return Said(
        since=now(),
        at=now(),
        last_image=99,
        last_id="9" * 32,
        images=64,
        level=0.001,
        p_value=p_value,
        splits=9999,
        statistics={"kl": p_value},
        nats={"total": 1.5},
        blocks=(),
        channels=(),
        contributors=tuple((f"{i:032x}", 1.0 / (i + 1)) for i in range(10)),
        ratios={},
        changed=("brightness",),
        flagged=0.0,
        flagged_before=0.0,
        flagged_changed=False,
        cause="lighting",
        warming_up="",
        text="blocks 2-3 shifted: looks like lighting",
    )


def test_a_windows_alarm_is_told(storage: Storage, monitor: Monitor) -> None:
    """Contract: its p-value as evidence, the images that say most, and the sentence."""
    entry = storage.versions.entry("bolts")
    assert standing(entry, monitor, None, ["folder"]).alarms == {}  # type: ignore[union-attr]
    monitor.hear(said(0.0001))
    told = standing(entry, monitor, None, ["folder"])
    assert told is not None
    ((identity, notice),) = told.alarms.items()
    assert (notice["id"], notice["monitor"], notice["stream"]) == (identity, "window", "window")
    assert (notice["image_number"], notice["image"]) == (99, "9" * 32)
    assert math.isclose(notice["evidence_log10"], 4)
    assert math.isclose(notice["threshold_log10"], 3)
    assert notice["top_images"] == [f"{i:032x}" for i in range(10)]
    assert "looks like lighting" in notice["summary"]
    monitor.hear(said(0.0002))  # it is latched: no other
    again = standing(entry, monitor, None, ["folder"])
    assert again is not None
    assert set(again.alarms) == {identity}


def test_what_was_acknowledged_stands_no_more(storage: Storage, monitor: Monitor) -> None:
    """Contract: the ending is the person's."""
    entry = storage.versions.entry("bolts")
    monitor.hear(said(0.0001))
    monitor.state.acknowledge("window")
    change = Change(BY, "drift.acknowledge", "bolts", {}, {})
    told = standing(entry, monitor, change, ["folder"])
    assert told is not None
    assert told.alarms == {}
    assert (told.ending.action, told.ending.who) == ("drift.acknowledge", BY.who)


def test_nobody_to_tell_is_no_work(storage: Storage, monitor: Monitor) -> None:
    """Contract: without a sink nothing is looked for."""
    monitor.hear(said(0.0001))
    assert standing(storage.versions.entry("bolts"), monitor, None, ()) is None
