"""Windows through the service: tested beside it, an alarm that lasts, a restart, two processes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line
from http_helpers import create, strict, upload
from watch_helpers import CALIBRATION, act, calibrate, latched, parts, sample, watched

from app.errors import StorageUnavailableError
from app.monitoring import filling, watch
from app.monitoring.testing import WindowTester
from app.storage.drift_states import DriftStates
from app.storage.row_chunks import RowChunks
from app.storage.sweep import sweep

SIZE = 128
PATH = f"/v1/detectors/{NAME}"


@pytest.fixture(scope="module")
def watched_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a calibrated detector that flags nothing."""
    directory = tmp_path_factory.mktemp("made") / "data"
    with line(directory) as running:
        watched(running)
        assert running.client.put(f"{PATH}/threshold", json=LINE).status_code == 200
    return directory


LINE = {"method": "manual", "value": 1e6}


def send(bolts: Line, start: int, count: int, brighter: int = 0) -> list[str]:
    """Score pictures and wait for windows; return their ids."""
    ids = [each["id"] for each in bolts.score(parts(start, count, brighter))]
    bolts.call(bolts.service.drift.settle)
    return ids


def windows(bolts: Line, result: str) -> float:
    """Return how many windows had this result, by the metrics."""
    return sample(bolts, f'gatewatch_drift_windows_total{{model="{NAME}",result="{result}"}}')


def test_like_windows_are_tested_and_told(bolts: Line) -> None:
    """Contract: how far the window is, what the last one said, and in the metrics, too."""
    before = bolts.get("/drift")["window"]
    assert (before["images"], before["target_images"], before["last"]) == (0, SIZE, None)
    assert before["level"] == pytest.approx(SIZE / (8 * 10_000))
    ids = send(bolts, 5000, SIZE + 22)
    told = bolts.get("/drift")
    assert (told["state"], told["window"]["images"]) == ("in_control", 22)
    last = told["window"]["last"]
    assert (last["images"], last["drifted"], told["window"]["latched"]) == (SIZE, False, False)
    assert last["p_value"] > last["level"] == before["level"]
    assert set(last["statistics"]) == {"mean", "diagonal", "mmd", "scores"}
    assert last["nats"]["total"] == pytest.approx(
        sum(last["nats"][part] for part in ("mean", "scale", "correlation"))
    )
    assert [each["block"] for each in last["blocks"]] == ["early", "late"]
    assert len(last["channels"]) == len(last["contributors"]) == 10
    assert {each["image"] for each in last["contributors"]} <= set(ids[:SIZE])
    assert windows(bolts, "tested") == 1
    assert sample(bolts, f'gatewatch_drift_window_p_value{{model="{NAME}"}}') == last["p_value"]
    assert sample(bolts, f'gatewatch_drift_window_level{{model="{NAME}"}}') == before["level"]
    assert sample(bolts, f'gatewatch_drift_window_images{{model="{NAME}"}}') == 22
    nats = sample(bolts, f'gatewatch_drift_window_kl_nats{{model="{NAME}",part="corr"}}')
    assert nats == last["nats"]["correlation"]


def test_another_lamp_is_a_window_alarm_until_it_is_acknowledged(bolts: Line) -> None:
    """Contract: it names lighting, lasts over restless and restful windows, and ends by hand."""
    ids = send(bolts, 6000, SIZE, brighter=25)
    told = bolts.get("/drift")
    window = told["window"]
    assert window["latched"]
    assert window["alarmed"] == window["last"]
    assert window["last"]["circumstances"]["changed"][0] == "brightness"
    assert window["last"]["text"].split(": ")[1].startswith("looks like lighting (brightness x1.")
    assert f"{window['last']['text'][1:]}." in told["summary"]
    alarm = next(each for each in told["alarms"] if each["monitor"] == "window")
    assert (alarm["image_number"], alarm["image"]) == (SIZE - 1, ids[-1])
    counted = f'gatewatch_drift_alarms_total{{model="{NAME}",monitor="window"}}'
    assert sample(bolts, counted) == 1
    send(bolts, 7000, SIZE, brighter=25)
    send(bolts, 8000, SIZE)
    after = bolts.get("/drift")["window"]
    assert (after["alarmed"], after["alarms"]) == (window["last"], 1)
    assert not after["last"]["drifted"]
    answer = strict(act(bolts, "acknowledge", {"monitor": "window"}))
    assert not answer["window"]["latched"]
    assert answer["window"]["alarmed"] is None
    assert latched(answer) == latched(told)
    send(bolts, 9000, SIZE, brighter=25)
    assert bolts.get("/drift")["window"]["alarms"] == 2
    assert sample(bolts, counted) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_keeps_reports_alarms_and_the_window(watched_place: Path, killed: bool) -> None:
    """Law: what comes after fills the window that was being filled, by so many images."""
    with line(watched_place) as first:
        send(first, 6000, SIZE + 10, brighter=25)
        before = first.get("/drift")
        assert before["window"]["images"] == 10
        if killed:  # what is opened now finds what a killed process leaves
            with line(watched_place) as second:
                goes_on(second, before)
    if not killed:
        with line(watched_place) as second:
            goes_on(second, before)


def goes_on(second: Line, before: dict[str, Any]) -> None:
    """Check that another process fills the window."""
    assert second.get("/drift") == before
    send(second, 7000, SIZE - 10)
    last = before["window"]["last"]
    until(lambda: second.get("/drift")["window"]["last"] != last)  # the other may be the writer
    told = second.get("/drift")
    assert told["window"]["last"]["at"] > last["at"]
    assert told["window"]["images"] == 0
    assert told["images"] == 2 * SIZE


def test_two_processes_fill_one_window(watched_place: Path) -> None:
    """Law: no image counts twice, none is lost; alarms and reports are the detector's."""
    with line(watched_place) as one, line(watched_place) as other:
        send(one, 5000, SIZE - 10, brighter=25)
        ids = send(other, 7000, 10, brighter=25)
        until(lambda: windows(one, "tested") + windows(other, "tested") == 1)
        for side in (one, other):
            told = side.get("/drift")
            assert told["window"]["latched"]
            assert (told["images"], told["window"]["images"]) == (SIZE, 0)
            alarm = next(each for each in told["alarms"] if each["monitor"] == "window")
            assert (alarm["image_number"], alarm["image"]) == (SIZE - 1, ids[-1])
        send(one, 8000, 20)
        send(other, 9000, 20)
        assert one.get("/drift")["window"] == other.get("/drift")["window"]
        assert one.get("/drift")["window"]["images"] == 40
        assert windows(one, "tested") + windows(other, "tested") == 1


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does in its own time."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_traffic_that_is_the_baseline_is_what_windows_are_tested_against(
    watched_place: Path,
) -> None:
    """Contract: what was drift is normal then, what was normal is drift; in later processes, too,
    and after files that nothing names were removed."""
    with line(watched_place) as bolts:
        send(bolts, 6000, 300, brighter=25)
        answer = strict(act(bolts, "rebaseline", {"images": 300}))
        assert (answer["window"]["latched"], answer["window"]["last"]) == (False, None)
        every = answer["lag_images"]
        send(bolts, 7000, SIZE * every, brighter=25)
        assert not bolts.get("/drift")["window"]["last"]["drifted"]
        bolts.call(sweep, bolts.service.storage, watched_place / "incoming", 0)
    with line(watched_place) as bolts:
        send(bolts, 8000, SIZE * every)
        told = bolts.get("/drift")["window"]
        assert told["latched"]
        assert "lighting (brightness x0." in told["last"]["text"]
        calibrate(bolts, 2000)
        send(bolts, 9000, SIZE * bolts.get("/drift")["lag_images"] + 60)
        after = bolts.get("/drift")
        assert after["baseline"]["of"] == "calibration"
        assert not after["window"]["last"]["drifted"]


def test_traffic_becomes_the_baseline_after_a_restart(watched_place: Path) -> None:
    """Contract: its squeezes are in the log, whichever process has scored it."""
    with line(watched_place) as bolts:
        send(bolts, 5000, 300)
    with line(watched_place) as bolts:
        told = strict(act(bolts, "rebaseline", {"images": 300}))
        assert told["window"]["target_images"] == SIZE
        send(bolts, 6000, SIZE * told["lag_images"], brighter=25)
        assert bolts.get("/drift")["window"]["latched"]


def test_traffic_without_squeezes_says_so(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: they came too fast; streams go on with the whole promise."""
    monkeypatch.setattr(watch, "SQUEEZED_IMAGES", 0)
    send(bolts, 5000, SIZE)
    assert bolts.get("/drift")["window"]["images"] == 0
    told = strict(act(bolts, "rebaseline", {"images": 100}))
    assert told["window"] is None
    assert any("still at hand" in reason for reason in told["reasons"])
    share = {each["watches"]: each["threshold_log10"] for each in told["monitors"]}
    assert 10 ** share["bulk"] == pytest.approx(10_000 * 7 / 4 * told["lag_images"] ** -1)


def test_without_rows_of_the_calibration_there_is_no_window(tmp_path: Path) -> None:
    """Contract: it is said why, and the monitors share the whole promise among them."""
    with line(tmp_path, keep_fitted_rows=False) as bolts:
        watched(bolts)
        send(bolts, 5000, SIZE)
        told = bolts.get("/drift")
        assert told["window"] is None
        assert any("GATEWATCH_KEEP_FITTED_ROWS" in reason for reason in told["reasons"])
        assert sum(windows(bolts, each) for each in ("tested", "skipped", "error")) == 0


def test_few_calibration_images_are_no_reference(tmp_path: Path) -> None:
    """Contract: fewer than 20 below the line; it is said."""
    with line(tmp_path) as bolts:
        create(bolts.client, NAME, scorer="gaussian")
        upload(bolts.client, NAME, "fit", parts(0, 60))
        upload(bolts.client, NAME, "calibrate", parts(1000, 20), target=0.1)
        reasons = bolts.get("/drift")["reasons"]
        assert any("calibration images are below the line" in each for each in reasons)


def test_rows_that_are_gone_end_windows_and_nothing_else(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a store that fails is an error and is tried again; rows without squeezes end it."""
    read = RowChunks.read

    def broken(*_: Any) -> None:
        raise StorageUnavailableError("disk full")

    def bare(chunks: RowChunks, name: str) -> Any:
        chunk = read(chunks, name)
        assert chunk.rows is not None
        object.__setattr__(chunk, "rows", chunk.rows.without_pixels())
        return chunk

    monkeypatch.setattr(RowChunks, "read", broken)
    send(bolts, 5000, SIZE)
    assert (windows(bolts, "error"), windows(bolts, "tested")) == (1, 0)
    monkeypatch.setattr(RowChunks, "read", bare)
    send(bolts, 6000, SIZE)
    told = bolts.get("/drift")
    assert any("squeezes were not kept" in reason for reason in told["reasons"])
    assert (told["images"], windows(bolts, "error")) == (2 * SIZE, 2)
    assert told["window"] is None
    send(bolts, 7000, SIZE + 5)
    assert sum(windows(bolts, each) for each in ("tested", "skipped", "error")) == 2
    assert sample(bolts, f'gatewatch_drift_window_target_images{{model="{NAME}"}}') == 0


def test_windows_that_cannot_wait_are_skipped(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: scoring goes on, and they are counted."""
    monkeypatch.setattr(filling, "MOST_WAITING", 0)
    send(bolts, 5000, SIZE)
    assert (windows(bolts, "skipped"), windows(bolts, "tested")) == (1, 0)
    assert bolts.get("/drift")["images"] == SIZE


def test_what_could_not_be_kept_is_kept_later(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: an alarm whose state cannot be written is not lost, and counts once."""
    put, fails = DriftStates.put, [0]

    def some(states: DriftStates, *arguments: Any, **named: Any) -> int:
        if testing_done:
            fails[0] += 1
            if fails[0] < 3:
                raise StorageUnavailableError("disk full")
        return put(states, *arguments, **named)

    testing_done: list[bool] = []
    fetch = WindowTester.fetch

    def fetched(self: WindowTester) -> Any:
        results = fetch(self)
        testing_done[:] = [True] * bool(results)
        return results

    monkeypatch.setattr(DriftStates, "put", some)
    monkeypatch.setattr(WindowTester, "fetch", fetched)
    send(bolts, 6000, SIZE, brighter=25)
    for _ in range(4):
        bolts.call(bolts.service.drift.settle)
    assert fails[0] >= 3
    told = bolts.get("/drift")["window"]
    assert (told["latched"], told["alarms"]) == (True, 1)
    assert windows(bolts, "tested") == 1


def test_another_calibration_forgets_the_window(bolts: Line) -> None:
    """Contract: images of another baseline are in no window of this one."""
    send(bolts, 5000, SIZE - 10)
    calibrate(bolts, 2000)
    send(bolts, 6000, 10)
    told = bolts.get("/drift")
    assert told["baseline"]["images"] == CALIBRATION
    assert told["window"]["last"] is None
    assert told["window"]["images"] <= 10
