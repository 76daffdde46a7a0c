"""Windows where something changes or fails: the promise, the store, the end of the process."""

import os
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from history_helpers import NAME, Line, line
from http_helpers import strict
from watch_helpers import act, calibrate, parts, told_evidence, watched

from app.errors import RowsNotKeptError, StorageUnavailableError
from app.monitoring import testing
from app.monitoring.references import References
from app.monitoring.testing import WindowTester
from app.monitoring.windows import Full
from app.storage.drift_states import DriftStates
from app.storage.sweep import sweep

SIZE = 128
PATH = f"/v1/detectors/{NAME}"


def put_line(bolts: Line, value: float) -> None:
    """Let images above this score be flagged."""
    body = {"method": "manual", "value": value}
    assert bolts.client.put(f"{PATH}/threshold", json=body).status_code == 200


@pytest.fixture(scope="module")
def watched_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a calibrated detector that flags nothing."""
    directory = tmp_path_factory.mktemp("made") / "data"
    with line(directory) as running:
        watched(running)
        put_line(running, 1e6)
    return directory


def send(bolts: Line, start: int, count: int, brighter: int = 0) -> list[float]:
    """Score pictures and wait for windows; return the scores."""
    scores = [each["score"] for each in bolts.score(parts(start, count, brighter))]
    bolts.call(bolts.service.drift.settle)
    return scores


@pytest.mark.parametrize("promise", [10, 20_000_000])
def test_a_promise_that_no_window_suits_ends_windows_only(
    watched_place: Path, promise: int
) -> None:
    """Law: evidence and alarms outlast a restart under it; under the first one windows go on."""
    with line(watched_place) as first:
        send(first, 6000, SIZE, brighter=25)
        before = first.get("/drift")
    with line(watched_place, drift_false_alarm_images=promise) as second:
        told = second.get("/drift")
        assert told_evidence(told) == told_evidence(before)
        assert (told["images"], told["alarms"]) == (SIZE, before["alarms"])
        assert any(each.startswith("Windows are not tested: ") for each in told["reasons"])
        assert told["window"]["alarmed"] == before["window"]["alarmed"]
        assert told["summary"] == before["summary"]
        send(second, 7000, SIZE + 5)
        assert second.get("/drift")["window"]["last"] == before["window"]["last"]
        assert strict(act(second, "acknowledge"))["window"] is None
    with line(watched_place) as third:
        told = third.get("/drift")
        assert not any("Windows are not tested" in each for each in told["reasons"])
        send(third, 8000, SIZE)
        window = third.get("/drift")["window"]
        assert window["level"] == before["window"]["level"]
        assert window["last"]["at"] > before["window"]["last"]["at"]


def test_flagged_images_of_a_baseline_of_traffic_are_counted(bolts: Line) -> None:
    """Contract: as those of a calibration are, so that a share of defects is no change."""
    scores = send(bolts, 5000, 300)
    put_line(bolts, float(np.quantile(scores, 0.8)))
    told = strict(act(bolts, "rebaseline", {"images": 300}))
    assert told["lag_images"] == 1  # else fewer are compared with
    send(bolts, 6000, 2 * SIZE)
    seen = bolts.get("/drift")["window"]["last"]["circumstances"]
    assert seen["flagged_before"] == pytest.approx(0.2)
    assert seen["flagged"] > 0.1
    assert not seen["flagged_changed"]


def references(bolts: Line) -> list[str]:
    """Return the references of traffic that are kept."""
    return [name for name in bolts.service.storage.blobs.names() if "/drift/" in name]


def test_a_reference_stays_as_long_as_a_state_names_it(
    bolts: Line, watched_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what takes its place may fail to be kept; then and later a sweep removes the others."""

    def swept() -> list[str]:
        bolts.call(sweep, bolts.service.storage, watched_place / "incoming", 0)
        return references(bolts)

    def broken(*_: Any, **__: Any) -> int:
        raise StorageUnavailableError("disk full")

    send(bolts, 5000, 300)
    strict(act(bolts, "rebaseline", {"images": 300}))
    (first,) = references(bolts)
    os.utime(watched_place / "blobs" / first, (0, 0))
    send(bolts, 6000, 300)
    with monkeypatch.context() as patched:
        patched.setattr(DriftStates, "put", broken)
        assert act(bolts, "rebaseline", {"images": 300}).status_code == 503
    assert len(references(bolts)) == 2
    assert swept() == [first]
    strict(act(bolts, "rebaseline", {"images": 300}))
    (second,) = swept()
    assert second != first
    calibrate(bolts, 2000)
    send(bolts, 7000, 5)
    assert swept() == []


def test_a_stop_waits_for_the_window_under_test_alone(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: those that wait are given up, whoever waits for them goes on, later ones are refused."""
    found: list[Full] = []
    with monkeypatch.context() as patched:
        patched.setattr(WindowTester, "submit", lambda _, full: not found.append(full))
        send(bolts, 5000, SIZE)
    began, go = Event(), Event()

    def slow(*_: Any) -> None:
        began.set()
        go.wait(60)
        raise RowsNotKeptError("gone meanwhile")

    monkeypatch.setattr(References, "of", slow)
    tester = WindowTester(References(bolts.service.storage, {}))
    assert all(tester.submit(found[0]) for _ in range(3))
    assert began.wait(60)
    waits = Thread(target=tester.settle, daemon=True)
    waits.start()
    settle = tester.settle

    def last(timeout_s: float | None = None) -> None:
        """Wait at the end of all, when no other window is begun any more."""
        go.set()
        settle(timeout_s)

    monkeypatch.setattr(tester, "settle", last)
    monkeypatch.setattr(testing, "STOP_S", 60.0)
    started_s = time.monotonic()
    tester.stop()
    assert time.monotonic() - started_s < 50
    waits.join(60)
    assert not waits.is_alive()
    assert len(tester.fetch()) == 1
    assert not tester.submit(found[0])
