"""The alarms of a watched line are told to a webhook and a folder, and so are their ends."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line
from http_helpers import create, problem, strict
from notice_helpers import SECRET, Receiver
from pydantic import SecretStr
from watch_helpers import act, by_stream, calibrate, latched, parts

from app.clock import now
from app.errors import InvalidSinkError
from app.notices import sender as sending
from app.storage import outbox


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook, with no proxy before it, and a sender that does not take its time."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sending, "LOOK_S", 0.02)
    monkeypatch.setattr(sending, "FIRST_S", 0.1)
    with Receiver().open() as opened:
        yield opened


def told(receiver: Receiver, watched_place: Path) -> dict[str, Any]:
    """Return the settings by which a service tells a receiver, and a folder beside its data."""
    return {
        "webhook_url": SecretStr(receiver.url),
        "webhook_secret": SecretStr(SECRET),
        "notices_dir": watched_place.parent / "notices",
    }


@pytest.fixture
def bolts(watched_place: Path, receiver: Receiver) -> Iterator[Line]:
    """A watched detector that has seen nothing yet, with two sinks."""
    with line(watched_place, **told(receiver, watched_place)) as running:
        yield running


def until(holds: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def of(receiver: Receiver, kind: str) -> dict[str, dict[str, Any]]:
    """Return what came of a type, by stream."""
    return {each["stream"]: each for each in receiver.contents if each["type"] == kind}


def raised(bolts: Line, receiver: Receiver, start: int = 6000) -> dict[str, Any]:
    """Let another lamp raise alarms; return what is told of drift once the webhook has them all."""
    bolts.score(parts(start, 100, brighter=12))
    told = bolts.get("/drift")
    streams = {name for name, each in by_stream(told).items() if each["latched"]}
    assert streams
    until(lambda: set(of(receiver, "drift.alarm")) >= streams)
    return dict(told)


def test_an_alarm_is_told_as_it_is(bolts: Line, receiver: Receiver, watched_place: Path) -> None:
    """Contract: which stream, image and evidence; the links lead to what is said of them."""
    bolts.score(parts(5000, 50))
    assert receiver.got == []
    shown = raised(bolts, receiver)
    assert len(set(receiver.ids)) == len(receiver.got)
    for stream, notice in of(receiver, "drift.alarm").items():
        alarm = by_stream(shown)[stream]["latched"]
        assert (notice["detector"], notice["version"]) == (NAME, shown["in_service"])
        assert (notice["monitor"], notice["image"]) == (alarm["monitor"], alarm["image"])
        assert notice["image_number"] == alarm["image_number"]
        assert notice["evidence_log10"] >= notice["threshold_log10"] > 0
        assert notice["promise"] == shown["promise"]
        assert notice["summary"].startswith("The traffic has changed: ")
        assert notice["resolved_at"] is None
        assert notice["top_images"] == [alarm["image"]]
        for link in notice["links"].values():
            assert bolts.client.get(link).status_code == 200
    everywhere = {each["id"]: each for each in receiver.contents}
    files = watched_place.parent / "notices"
    until(lambda: len(list(files.glob("*.json"))) == len(everywhere))
    assert {
        each["id"]: each for each in map(json.loads, (f.read_text() for f in files.glob("*.json")))
    } == everywhere


def test_an_acknowledged_alarm_has_ended(bolts: Line, receiver: Receiver) -> None:
    """Contract: of one monitor first; what still stands is told; who and why, too."""
    before = raised(bolts, receiver)
    assert latched(before) > {"input"}
    strict(act(bolts, "acknowledge", {"monitor": "input"}, reason="lamp changed"))
    until(lambda: "brightness" in of(receiver, "drift.resolved"))
    over = of(receiver, "drift.resolved")["brightness"]
    begun = of(receiver, "drift.alarm")["brightness"]
    assert over["alarm"] == begun["id"]
    assert (over["started_at"], over["image"]) == (begun["started_at"], begun["image"])
    assert over["resolved_by"]["action"] == "drift.acknowledge"
    assert over["resolved_by"]["reason"] == "lamp changed"
    assert set(over["standing"]) == latched(before) - {"input"}
    strict(act(bolts, "acknowledge"))
    until(lambda: set(of(receiver, "drift.resolved")) == set(of(receiver, "drift.alarm")))
    assert receiver.contents[-1]["standing"] == []


def test_another_baseline_ends_alarms(bolts: Line, receiver: Receiver) -> None:
    """Contract: a rebaseline by its name; a calibration with the next image, by nobody's."""
    raised(bolts, receiver)
    strict(act(bolts, "rebaseline", {"images": 60}))
    until(lambda: set(of(receiver, "drift.resolved")) == set(of(receiver, "drift.alarm")))
    actions = {each["resolved_by"]["action"] for each in of(receiver, "drift.resolved").values()}
    assert actions == {"drift.rebaseline"}
    receiver.got.clear()
    bolts.score(parts(8000, 100, brighter=0))
    until(lambda: of(receiver, "drift.alarm"))
    stand = latched(bolts.get("/drift"))
    until(lambda: {each["monitor"] for each in receiver.contents} == stand)
    calibrate(bolts, 2000)
    bolts.score(parts(5000, 1))
    until(lambda: set(of(receiver, "drift.resolved")) == set(of(receiver, "drift.alarm")))
    for each in of(receiver, "drift.resolved").values():
        assert each["resolved_by"]["action"] == "baseline.change"
        assert each["summary"].endswith("the traffic is compared with another calibration now.")


def test_a_deleted_detector_has_no_alarm(bolts: Line, receiver: Receiver) -> None:
    """Contract: its alarms end with it."""
    raised(bolts, receiver)
    assert bolts.client.delete(f"/v1/detectors/{NAME}").status_code == 204
    until(lambda: set(of(receiver, "drift.resolved")) == set(of(receiver, "drift.alarm")))
    actions = {each["resolved_by"]["action"] for each in of(receiver, "drift.resolved").values()}
    assert actions == {"detector.delete"}


def test_a_restart_tells_what_was_not_told(
    watched_place: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what a stopped process has raised and not delivered is delivered by the next, once."""
    receiver.answers = [(503, {"retry-after": "1000"})]
    with line(watched_place, **told(receiver, watched_place)) as first:
        first.score(parts(6000, 100, brighter=12))
        stand = by_stream(first.get("/drift"))
        until(lambda: receiver.got)
    streams = {name for name, each in stand.items() if each["latched"]}
    assert len(receiver.got) == 1  # the others wait for it
    monkeypatch.setattr(outbox, "now", lambda: now() + timedelta(seconds=1000))
    with line(watched_place, **told(receiver, watched_place)) as second:
        until(lambda: set(of(receiver, "drift.alarm")) == streams)
        page = strict(second.client.get("/v1/notices"))
    assert len(page["notices"]) == len(streams)
    assert receiver.ids[0] == receiver.ids[1]
    assert len(receiver.got) == len(streams) + 1


def test_an_admin_sees_what_was_told(bolts: Line, receiver: Receiver) -> None:
    """Contract: newest first, page by page, with the state at each sink."""
    raised(bolts, receiver)
    count = len(receiver.got)

    def page(**query: Any) -> Any:
        return strict(bolts.client.get("/v1/notices", params=query))

    def ways(shown: Any) -> set[tuple[str, str]]:
        return {(w["sink"], w["state"]) for each in shown["notices"] for w in each["deliveries"]}

    until(lambda: ways(page()) == {("folder", "delivered"), ("webhook", "delivered")})
    whole = page()
    assert whole["sinks"] == ["webhook", "folder"]
    assert whole["next"] is None
    assert [each["content"]["id"] for each in reversed(whole["notices"])] == receiver.ids
    first = page(limit=1)
    rest = page(before=first["next"]) if first["next"] else {"notices": []}
    assert [*first["notices"], *rest["notices"]] == whole["notices"]
    assert len(page(detector=NAME)["notices"]) == count
    assert page(detector="nuts")["notices"] == []
    problem(bolts.client.get("/v1/notices", params={"limit": 0}), 422, "invalid-request")
    problem(bolts.client.get("/v1/notices", params={"before": 0}), 422, "invalid-request")
    problem(bolts.client.get("/v1/notices", params={"detector": "?"}), 422, "invalid-request")


def test_a_test_notice_says_where_it_arrives(
    bolts: Line, receiver: Receiver, watched_place: Path
) -> None:
    """Contract: at once, at every sink; the answer tells why not."""
    receiver.answers = [(204, {}), (500, {})]
    first = strict(bolts.client.post("/v1/notices/test"))
    assert [(each["sink"], each["delivered"]) for each in first["sinks"]] == [
        ("webhook", True),
        ("folder", True),
    ]
    assert receiver.contents[0]["type"] == "notice.test"
    (file,) = (watched_place.parent / "notices").iterdir()
    assert json.loads(file.read_text()) == receiver.contents[0]
    second = strict(bolts.client.post("/v1/notices/test"))["sinks"]
    assert (second[0]["delivered"], second[0]["problem"]) == (False, "the webhook answers 500")
    assert second[1]["delivered"]
    assert strict(bolts.client.get("/v1/notices"))["notices"] == []


def test_without_a_sink_nothing_is_told(watched_place: Path) -> None:
    """Contract: that is said; no notice is made."""
    with line(watched_place) as bolts:
        bolts.score(parts(6000, 100, brighter=12))
        assert bolts.get("/drift")["state"] == "alarm"
        answer = problem(bolts.client.post("/v1/notices/test"), 409, "no-sink")
        assert "GATEWATCH_WEBHOOK_URL" in answer["detail"]
        page = strict(bolts.client.get("/v1/notices"))
        assert page == {"sinks": [], "notices": [], "next": None}


def test_a_sink_that_comes_later_hears_what_stands(watched_place: Path, receiver: Receiver) -> None:
    """Contract: an alarm that nobody was told of is told with the next image."""
    with line(watched_place) as bolts:
        bolts.score(parts(6000, 100, brighter=12))
        stand = latched(bolts.get("/drift"))
    with line(watched_place, **told(receiver, watched_place)) as bolts:
        bolts.score(parts(7000, 1))
        bolts.call(bolts.service.drift.flush)
        until(lambda: {each["monitor"] for each in receiver.contents} >= stand)


def test_a_service_that_could_tell_nobody_does_not_start(tmp_path: Path) -> None:
    """Contract: before anything else."""
    with (
        pytest.raises(InvalidSinkError, match="GATEWATCH_WEBHOOK_SECRET"),
        line(tmp_path, webhook_url=SecretStr("https://h/")),
    ):
        pass


def test_a_detector_that_is_not_watched_tells_nothing(bolts: Line, receiver: Receiver) -> None:
    """Contract: without a calibration there is nothing to alarm of."""
    create(bolts.client, "nuts")
    assert strict(bolts.client.get("/v1/notices"))["notices"] == []
    assert receiver.got == []
