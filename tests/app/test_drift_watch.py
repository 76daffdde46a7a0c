"""The traffic is watched: silent while it stays, an alarm that lasts when it does not."""

import time
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line
from http_helpers import problem, strict
from version_helpers import promote
from watch_helpers import (
    CALIBRATION,
    PROMISE,
    act,
    begun,
    by_stream,
    calibrate,
    evidence,
    feed,
    latched,
    parts,
    sample,
    told_evidence,
)


def test_like_traffic_is_silent_and_told(bolts: Line) -> None:
    """Contract: no alarm in 300 images like the calibration; what is promised is said."""
    before = bolts.get("/drift")
    assert (before["images"], before["state"], before["alarms"]) == (0, "in_control", [])
    for start in range(5000, 5300, 100):
        bolts.score(parts(start, 100))
    told = bolts.get("/drift")
    assert (told["images"], told["state"], told["alarms"]) == (300, "in_control", [])
    assert told["summary"] == "No sign of a change in 300 images."
    assert told["baseline"]["of"] == "calibration"
    assert told["baseline"]["images"] == CALIBRATION
    assert "10,000 images" in told["promise"]
    assert told["promise_images"] == PROMISE
    streams = by_stream(told)
    assert set(streams) == {"bulk", "rate", "frozen", "brightness", "contrast", "sharpness"}
    assert all(each["evidence_log10"] < each["threshold_log10"] for each in streams.values())
    assert sample(bolts, f'gatewatch_drift_state{{model="{NAME}"}}') == 1
    assert sample(bolts, f'gatewatch_input_brightness_ratio_count{{model="{NAME}"}}') == 300


def test_another_lamp_is_an_alarm_that_lasts(bolts: Line) -> None:
    """Contract: with the image that raised it, in the metrics, and after normal traffic, too."""
    ids = [each["id"] for each in bolts.score(parts(5000, 50))]
    ids += [each["id"] for each in bolts.score(parts(6000, 100, brighter=12))]
    told = bolts.get("/drift")
    assert told["state"] == "alarm"
    assert told["summary"].startswith("The traffic has changed: ")
    alarm = by_stream(told)["brightness"]["latched"]
    assert alarm["monitor"] == "input"
    assert alarm in told["alarms"]
    assert 50 <= alarm["image_number"] < 120
    assert ids[alarm["image_number"]] == alarm["image"]
    assert bolts.client.get(f"/v1/images/{alarm['image']}").status_code == 200
    assert sample(bolts, f'gatewatch_drift_state{{model="{NAME}"}}') == 2
    labels = f'{{model="{NAME}",monitor="input"}}'
    assert sample(bolts, f"gatewatch_drift_alarms_total{labels}") >= 1
    threshold = sample(bolts, f"gatewatch_drift_evidence_threshold_log10{labels}")
    shown = sample(bolts, f"gatewatch_drift_evidence_log10{labels}")
    assert threshold <= shown <= threshold + 2
    bolts.score(parts(7000, 100))
    after = bolts.get("/drift")
    assert after["state"] == "alarm"
    assert by_stream(after)["brightness"]["latched"] == alarm


def test_what_the_service_says_is_what_the_domain_says(bolts: Line) -> None:
    """Law: fed over HTTP = fed by hand, to the last bit, also where images come one by one."""
    state = begun(bolts)
    for start, count, brighter in ((5000, 90, 0), (6000, 1, 0), (6001, 1, 8), (6100, 40, 8)):
        contents = parts(start, count, brighter)
        feed(state, contents, bolts.score(contents))
        bolts.call(bolts.service.drift.flush)
    assert state.latched
    told = bolts.get("/drift")
    assert told_evidence(told) == evidence(state)
    assert {each["watches"] for each in told["alarms"]} == set(state.latched)
    assert told["lag_images"] == state.thinning.every


def test_an_acknowledged_alarm_ends(bolts: Line) -> None:
    """Contract: of one monitor or all; evidence begins anew, and the audit says who and why."""
    bolts.score(parts(6000, 150, brighter=12))
    before = bolts.get("/drift")
    assert latched(before) > {"input"}
    one = strict(act(bolts, "acknowledge", {"monitor": "input"}, reason="lamp changed"))
    assert latched(one) == latched(before) - {"input"}
    assert by_stream(one)["brightness"]["evidence_log10"] == 0
    assert by_stream(one)["bulk"] == by_stream(before)["bulk"]
    assert one["alarms"] == before["alarms"]
    rest = strict(act(bolts, "acknowledge"))
    assert (latched(rest), rest["state"]) == (set(), "in_control")
    assert bolts.get("/drift") == rest
    lines = strict(bolts.client.get("/v1/audit", params={"subject": NAME}))["lines"]
    first, second = (each for each in lines if each["action"] == "drift.acknowledge")
    assert first["reason"] == "lamp changed"
    assert set(first["before"]["latched"]) - set(first["after"]["latched"]) == {"input"}
    assert second["after"] == {"latched": []}


def test_the_traffic_itself_becomes_the_baseline(bolts: Line) -> None:
    """Contract: what was drift is normal then, what was normal is drift, and it is in the audit."""
    bolts.score(parts(6000, 150, brighter=6))
    assert bolts.get("/drift")["state"] == "alarm"
    answer = strict(act(bolts, "rebaseline", {"images": 150}, reason="new lamp"))
    assert (latched(answer), answer["baseline"]["of"]) == (set(), "traffic")
    assert answer["baseline"]["images"] == 150
    bolts.score(parts(7000, 100, brighter=6))
    told = bolts.get("/drift")
    assert (latched(told), told["images"]) == (set(), 250)
    bolts.score(parts(8000, 100, brighter=0))
    assert "input" in latched(bolts.get("/drift"))
    lines = strict(bolts.client.get("/v1/audit", params={"subject": NAME}))["lines"]
    assert (lines[-1]["action"], lines[-1]["reason"]) == ("drift.rebaseline", "new lamp")
    assert lines[-1]["after"] == {"latched": [], "baseline": "traffic", "version": 3, "images": 150}


def test_what_cannot_be_a_baseline_is_refused(bolts: Line) -> None:
    """Contract: too few images, or hardly a normal one among them; nothing has changed."""
    bolts.score(parts(5000, 30))
    few = problem(act(bolts, "rebaseline", {"images": 31}), 422, "insufficient-calibration")
    assert "only 30 images" in few["detail"]
    bolts.score(parts(6000, 60, brighter=60))
    before = bolts.get("/drift")
    odd = problem(act(bolts, "rebaseline", {"images": 60}), 422, "insufficient-calibration")
    assert "calibrate" in odd["detail"]
    assert bolts.get("/drift") == before
    problem(act(bolts, "rebaseline", {"images": 19}), 422, "invalid-request")
    problem(act(bolts, "acknowledge", {"monitor": "moon"}), 422, "invalid-request")


@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_changes_nothing(watched_place: Path, killed: bool) -> None:
    """Law: the same state, and the same evidence from then on, stopped or killed."""
    state = None
    with line(watched_place) as first:
        state = begun(first)
        contents = parts(6000, 60, brighter=8)
        feed(state, contents, first.score(contents))
        first.call(first.service.drift.flush)
        before = first.get("/drift")
        if killed:  # what is opened now finds what a killed process leaves
            with line(watched_place) as second:
                goes_on(second, state, before)
    if not killed:
        with line(watched_place) as second:
            goes_on(second, state, before)


def goes_on(second: Line, state: Any, before: Any) -> None:
    """Check that another process goes on with this state."""
    told = second.get("/drift")
    assert told == before
    assert told_evidence(told) == evidence(state)
    assert told["state"] == "alarm"
    contents = parts(7000, 40)
    feed(state, contents, second.score(contents))
    assert told_evidence(second.get("/drift")) == evidence(state)


def test_a_restart_shows_the_alarm_before_any_image(watched_place: Path) -> None:
    """Contract: the metric of an alarm does not end with the process."""
    with line(watched_place) as bolts:
        bolts.score(parts(6000, 100, brighter=12))
    with line(watched_place) as again:
        deadline = time.monotonic() + 60
        while sample(again, f'gatewatch_drift_state{{model="{NAME}"}}') == 3:
            assert time.monotonic() < deadline  # it is read beside the start
            time.sleep(0.01)
        assert sample(again, f'gatewatch_drift_state{{model="{NAME}"}}') == 2


def test_two_processes_on_one_state_lose_nothing(watched_place: Path) -> None:
    """Law: images of both, in the order in which they were taken in, are those of one stream."""
    with line(watched_place) as one, line(watched_place) as other:
        state = begun(one)
        for turn in range(6):
            side = (one, other)[turn % 2]
            contents = parts(5000 + 50 * turn, 20, brighter=2 * turn)
            feed(state, contents, side.score(contents))
            side.call(side.service.drift.flush)
        assert told_evidence(one.get("/drift")) == evidence(state)
        assert told_evidence(other.get("/drift")) == evidence(state)
        assert one.get("/drift")["images"] == 120


def test_another_version_and_a_shadow_are_not_the_traffic(bolts: Line) -> None:
    """Contract: only what the version in service says counts."""
    value = {"method": "manual", "value": 1e6}
    path = f"/v1/detectors/{NAME}"
    bolts.client.put(f"{path}/threshold", json=value, params={"promote": "never"})
    bolts.score(parts(6000, 50, brighter=12), version=4)
    assert bolts.get("/drift")["images"] == 0
    state = begun(bolts)
    assert bolts.client.put(f"{path}/shadow", json={"version": 4}).status_code == 200
    contents = parts(5000, 50)
    feed(state, contents, bolts.score(contents))
    told = bolts.get("/drift")
    assert (told["images"], told_evidence(told)) == (50, evidence(state))


def test_another_threshold_goes_on_and_another_calibration_begins(bolts: Line) -> None:
    """Contract: the baseline is the calibration's scores; counts go on all the same."""
    bolts.score(parts(6000, 100, brighter=12))
    before = bolts.get("/drift")
    body = {"method": "conformal", "target": 0.1}
    assert bolts.client.put(f"/v1/detectors/{NAME}/threshold", json=body).status_code == 200
    after = bolts.get("/drift")
    assert after["in_service"] == before["in_service"] + 1
    assert {**after, "in_service": 3} == before
    calibrate(bolts, 2000)
    bolts.score(parts(5000, 40))
    told = bolts.get("/drift")
    assert (told["images"], told["state"]) == (140, "in_control")
    assert told["baseline"]["version"] == 5
    assert told["alarms"] == before["alarms"]


def test_looking_at_another_version_ends_no_alarm(bolts: Line) -> None:
    """Law: to ask changes nothing, whatever serves meanwhile; the next image finds the alarm."""
    bolts.score(parts(6000, 100, brighter=12))
    before = bolts.get("/drift")
    assert before["state"] == "alarm"
    calibrate(bolts, 2000)
    assert bolts.get("/drift")["state"] == "in_control"
    assert promote(bolts, before["in_service"]).status_code == 200
    after = bolts.get("/drift")
    assert {**after, "window": before["window"]} == before  # one that was being filled may go
    bolts.score(parts(5000, 1))
    assert bolts.get("/drift")["state"] == "alarm"
