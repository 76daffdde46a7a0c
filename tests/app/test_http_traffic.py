"""All detectors at a glance over HTTP: what they scored, what waits, how they drift; who asks."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create, problem, strict, upload
from key_helpers import BY, bearer
from version_helpers import promote
from watch_helpers import act, calibrate, parts

from app.access.credentials import Role
from app.errors import StorageUnavailableError
from app.past.traffic import PARTS
from app.storage.drift_states import DriftStates


def glance(line: Line, name: str = NAME, **query: Any) -> dict[str, Any]:
    """Return what is said of one detector."""
    answer = line.client.get("/v1/traffic", params=query)
    assert answer.status_code == 200, answer.text
    (found,) = (each for each in strict(answer)["detectors"] if each["detector"] == name)
    return dict(found)


def test_what_was_scored_is_counted(bolts: Line) -> None:
    """Reference: the history of the same images; the newest are in the last bucket."""
    results = bolts.score([*parts(5000, 6), *(picture(seed, odd=90) for seed in range(3))])
    answer = strict(bolts.client.get("/v1/traffic", params={"hours": 1}))
    since, until = (datetime.fromisoformat(answer[key]) for key in ("since", "until"))
    assert until - since == timedelta(hours=1)
    history = bolts.get("/history")["images"]
    flagged = sum(each["verdict"] == "anomalous" for each in history)
    assert 0 < flagged == sum(result["flagged"] for result in results) < 9
    (found,) = answer["detectors"]
    assert (found["images"], found["flagged"], found["uncertain"]) == (9, flagged, 0)
    assert found["last_at"] == history[0]["at"]
    assert found["to_review"] == flagged
    assert len(found["buckets"]) == PARTS
    for key in ("images", "flagged"):
        assert sum(bucket[key] for bucket in found["buckets"]) == found[key]
    assert found["buckets"][-1]["images"] == 9
    alarm = next(result["id"] for result in results if result["flagged"])
    assert bolts.review(alarm, "confirmed").status_code == 201
    assert glance(bolts)["to_review"] == flagged - 1


def test_detectors_come_and_go(bolts: Line) -> None:
    """Contract: by name, one that scored nothing too; a deleted one is not there."""
    create(bolts.client, "anchors")
    bolts.score(parts(5000, 2))
    listed = strict(bolts.client.get("/v1/traffic"))["detectors"]
    assert [each["detector"] for each in listed] == ["anchors", NAME]
    assert (listed[0]["images"], listed[0]["last_at"], listed[0]["drift"]) == (0, None, None)
    assert bolts.client.delete(f"/v1/detectors/{NAME}").status_code == 204
    left = strict(bolts.client.get("/v1/traffic"))["detectors"]
    assert [each["detector"] for each in left] == ["anchors"]


@pytest.mark.parametrize("hours", ["0", "721", "-1", "1.5", "many", "", "1e999"])
def test_hours_are_bounded(bolts: Line, hours: str) -> None:
    """Contract: a clear refusal, and the ends are inside."""
    problem(bolts.client.get("/v1/traffic", params={"hours": hours}), 422, "invalid-request")
    assert glance(bolts, hours=1)["images"] == glance(bolts, hours=720)["images"] == 0


def same_word(line: Line) -> str | None:
    """Check that both say the same of the drift; return it."""
    line.call(line.service.drift.settle)  # a window's test, too, may still change the state
    known = line.client.get(f"/v1/detectors/{NAME}/drift")
    told = glance(line)["drift"]
    assert told == (strict(known)["state"] if known.status_code == 200 else None)
    return str(told) if told else None


def test_drift_is_in_the_words_of_its_own_route(bolts: Line) -> None:
    """Law: whatever happens to a detector, and whichever is asked first."""
    assert glance(bolts)["drift"] == "in_control"
    bolts.score(parts(5000, 50))
    assert same_word(bolts) == "in_control"
    bolts.score(parts(6000, 100, brighter=12))
    assert same_word(bolts) == "alarm"
    assert act(bolts, "acknowledge").status_code == 200
    assert glance(bolts)["drift"] == same_word(bolts) == "in_control"
    bolts.score(parts(7000, 100, brighter=12))
    assert same_word(bolts) == "alarm"
    before = bolts.get("")["in_service"]
    calibrate(bolts, 3000)  # another baseline, with which no image was compared yet
    fresh, after = glance(bolts)["drift"], bolts.get("")["in_service"]
    assert fresh in ("in_control", "warming_up")
    assert promote(bolts, before).status_code == 200
    assert same_word(bolts) == "alarm"
    assert promote(bolts, after).status_code == 200
    assert same_word(bolts) == fresh
    assert bolts.verb("fit", range(8), mode="extend", promote="always").status_code == 200
    assert bolts.get("")["stale"]
    assert glance(bolts)["drift"] is None
    assert same_word(bolts) is None


def test_few_images_warm_up(tmp_path: Path) -> None:
    """Contract: as the route says, before an image came and after."""
    with line(tmp_path) as bolts:
        create(bolts.client, NAME, scorer="fusion")
        assert same_word(bolts) is None
        assert bolts.verb("fit", range(40)).status_code == 200
        assert same_word(bolts) is None
        assert bolts.verb("calibrate", range(1000, 1039)).status_code == 200
        assert same_word(bolts) == "warming_up"
        bolts.score(parts(5000, 2))
        assert same_word(bolts) == "warming_up"


def test_what_is_switched_off_is_disabled(watched_place: Path) -> None:
    """Contract: as the route says."""
    with line(watched_place, drift_false_alarm_images=0) as bolts:
        assert same_word(bolts) == "disabled"


def test_a_promise_too_short_disables(tmp_path: Path) -> None:
    """Contract: as the route says, of a calibration in which neighbours are alike."""
    with line(tmp_path, drift_false_alarm_images=2) as bolts:
        create(bolts.client, NAME, scorer="gaussian")
        assert upload(bolts.client, NAME, "fit", parts(0, 60)).status_code == 200
        slowly = [content for i in range(40) for content in parts(1000 + i, 1, brighter=i // 2)]
        answer = upload(bolts.client, NAME, "calibrate", slowly, target=0.05)
        assert answer.status_code == 200
        assert same_word(bolts) == "disabled"


def test_words_need_no_fit_and_one_damaged_detector_stops_nobody(watched_place: Path) -> None:
    """Contract: what was fitted is not read; without its calibration a detector has no word."""
    for file in watched_place.glob("blobs/detectors/*/fit-*"):
        file.write_bytes(b"damaged")
    with line(watched_place) as bolts:
        create(bolts.client, "anchors")
        assert glance(bolts)["drift"] == "in_control"
    for file in watched_place.glob("blobs/detectors/*/decision-*"):
        file.unlink()
    with line(watched_place) as bolts:
        assert glance(bolts)["drift"] is None
        assert glance(bolts, "anchors")["drift"] is None


def test_a_damaged_state_begins_anew(bolts: Line) -> None:
    """Contract: as for who watches."""
    bolts.score(parts(6000, 150, brighter=12))
    assert same_word(bolts) == "alarm"
    states = DriftStates(bolts.service.storage.database)
    entry = bolts.service.storage.versions.entry(NAME)
    states.put(entry.id, b"damaged", states.counter(entry.id))
    assert glance(bolts)["drift"] == "in_control"
    assert same_word(bolts) == "in_control"


def test_many_ask_at_once(bolts: Line) -> None:
    """Contract: one after the other, all with the same numbers."""
    bolts.score(parts(5000, 4))

    async def ask() -> list[int]:
        asked = [bolts.service.traffic.last(hours) for hours in (1, 24, 720) * 5]
        return [
            each.traffic.images for all in await asyncio.gather(*asked) for each in all.detectors
        ]

    assert bolts.call(ask) == [4] * 15


def test_a_lost_database_is_unavailable(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: 503 with a Retry-After, and the next one is answered."""

    def fails(_self: DriftStates) -> None:
        raise StorageUnavailableError("the database cannot be used: gone")

    with monkeypatch.context() as patched:
        patched.setattr(DriftStates, "counters", fails)
        problem(bolts.client.get("/v1/traffic"), 503, "storage-unavailable")
    assert glance(bolts)["images"] == 0


def test_nobody_needs_to_say_who_asks(bolts: Line) -> None:
    """Contract: local and open while there is no key."""
    told = strict(bolts.client.get("/v1/me"))
    assert told == {"name": "local", "role": "admin", "is_open": True}


def test_who_asks_is_told(bolts: Line) -> None:
    """Contract: the key's name and role, or 401; the lowest role may ask for all of this."""
    keys = bolts.service.storage.keys
    made = [keys.create(BY, f"key-{role.value}", role).text for role in reversed(Role)]
    problem(bolts.client.get("/v1/me"), 401, "key-required")
    for role, text in zip(reversed(Role), made, strict=True):
        told = strict(bolts.client.get("/v1/me", headers=bearer(text)))
        assert told == {"name": f"key-{role.value}", "role": role.value, "is_open": False}
        for path in ("/v1/traffic", f"/v1/detectors/{NAME}/threshold/scores"):
            assert bolts.client.get(path, headers=bearer(text)).status_code == 200
    problem(bolts.client.get("/v1/me", headers=bearer(made[0][:-1] + "~")), 401, "key-refused")
