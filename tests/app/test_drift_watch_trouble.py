"""Drift where something is missing: it is off, not possible, too much, failing or deleted."""

from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line
from http_helpers import create, problem, upload
from watch_helpers import (
    act,
    begun,
    evidence,
    feed,
    parts,
    sample,
    told_evidence,
    watched,
)

from app.errors import StorageUnavailableError
from app.monitoring import watch
from app.storage.drift_notes import DriftNotes
from app.storage.drift_states import DriftStates


def test_off_is_off(watched_place: Path) -> None:
    """Contract: nothing is kept; it is said; what cannot be done is refused."""
    with line(watched_place, drift_false_alarm_images=0) as bolts:
        bolts.score(parts(6000, 60, brighter=12))
        told = bolts.get("/drift")
        assert (told["state"], told["images"], told["monitors"]) == ("disabled", 0, [])
        assert "GATEWATCH_DRIFT_FALSE_ALARM_IMAGES" in told["reasons"][0]
        assert told["promise"] is None
        problem(act(bolts, "acknowledge"), 409, "drift-not-watched")
        problem(act(bolts, "rebaseline"), 409, "drift-not-watched")
        assert sample(bolts, f'gatewatch_drift_state{{model="{NAME}"}}') == 3
        identity = bolts.service.storage.versions.entry(NAME).id
        assert DriftStates(bolts.service.storage.database).get(identity) == (b"", 0)


def test_detectors_that_cannot_be_watched(bolts: Line) -> None:
    """Contract: the problems that they have elsewhere, too."""
    problem(bolts.client.get("/v1/detectors/nuts/drift"), 404, "unknown-detector")
    create(bolts.client, "nuts")
    for verb in ("acknowledge", "rebaseline"):
        answer = bolts.client.post(f"/v1/detectors/nuts/drift/{verb}", json={})
        problem(answer, 409, "not-calibrated")
    problem(bolts.client.get("/v1/detectors/nuts/drift"), 409, "not-calibrated")
    upload(bolts.client, NAME, "fit", parts(300, 5), mode="extend", promote="always")
    problem(bolts.client.get(f"/v1/detectors/{NAME}/drift"), 409, "stale-calibration")


def test_a_promise_too_short_for_the_lag_disables(tmp_path: Path) -> None:
    """Contract: in words, and nothing fails."""
    with line(tmp_path, drift_false_alarm_images=2) as bolts:
        create(bolts.client, NAME, scorer="gaussian")
        upload(bolts.client, NAME, "fit", parts(0, 60))
        slowly = [content for i in range(40) for content in parts(1000 + i, 1, brighter=i // 2)]
        upload(bolts.client, NAME, "calibrate", slowly, target=0.05)
        bolts.score(parts(5000, 3))
        told = bolts.get("/drift")
        assert told["state"] == "disabled"
        assert "promise" in told["reasons"][0]


def test_a_failing_store_delays_and_loses_nothing(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what could not be written, or kept, is taken in later, once; scores go on meanwhile."""

    def broken(*_: Any, **__: Any) -> None:
        raise StorageUnavailableError("disk full")

    state = begun(bolts)
    contents = parts(6000, 30, brighter=6)
    with monkeypatch.context() as patched:
        patched.setattr(DriftStates, "put", broken)
        feed(state, contents[:10], bolts.score(contents[:10]))
        bolts.call(bolts.service.drift.flush)
        identity = bolts.service.storage.versions.entry(NAME).id
        assert DriftStates(bolts.service.storage.database).get(identity) == (b"", 0)
        assert bolts.get("/drift")["images"] == 10  # they are in the log
    with monkeypatch.context() as patched:
        patched.setattr(DriftStates, "put", broken)
        patched.setattr(DriftNotes, "append", broken)
        feed(state, contents[10:20], bolts.score(contents[10:20]))
        bolts.call(bolts.service.drift.flush)
        assert bolts.get("/drift")["images"] == 10
        feed(state, contents[20:25], bolts.score(contents[20:25]))
        bolts.call(bolts.service.drift.flush)
    feed(state, contents[25:], bolts.score(contents[25:]))
    told = bolts.get("/drift")
    assert (told["images"], told["images_dropped"]) == (30, 0)
    assert told_evidence(told) == evidence(state)


def test_what_is_too_much_is_counted_and_said(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: scoring waits for nothing; the answer tells how many were left out."""
    monkeypatch.setattr(watch, "GATHER_S", 60.0)
    monkeypatch.setattr(watch, "WAITING_IMAGES", 25)
    for start in (5000, 5100, 5200):
        bolts.score(parts(start, 20))
    told = bolts.get("/drift")
    assert (told["images"], told["images_dropped"]) == (20, 40)
    assert "40 images could not be watched: a change may be seen later." in told["reasons"]


def test_a_deleted_detector_takes_its_state_along(bolts: Line) -> None:
    """Contract: one of the same name begins with nothing, whatever still waits."""
    bolts.score(parts(6000, 100, brighter=12))
    assert bolts.get("/drift")["state"] == "alarm"
    bolts.score(parts(6000, 10, brighter=12))
    assert bolts.client.delete(f"/v1/detectors/{NAME}").status_code == 204
    watched(bolts)
    told = bolts.get("/drift")
    assert (told["images"], told["state"]) == (0, "in_control")
