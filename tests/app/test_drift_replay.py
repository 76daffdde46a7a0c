"""The past watched again: as it was watched, under another promise, by another version."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from history_helpers import NAME, Line, line
from http_helpers import problem, strict, upload
from watch_helpers import PROMISE, by_stream, calibrate, parts, watched

from app.past.drifting import MOST_TOLD, DriftReplayed, _in_order, replay_drift
from app.past.rejudging import Rejudged
from app.past.replay import size
from detector.errors import InvalidSpecError, NotCalibratedError, StaleCalibrationError

NORMAL, BRIGHTER = 120, 160


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A watched detector that has scored normal pictures, and then brighter ones."""
    with line(tmp_path_factory.mktemp("drift_replay")) as running:
        watched(running)
        for start in (5000, 5060):
            running.score(parts(start, NORMAL // 2))
        for start in range(6000, 6000 + BRIGHTER, 40):
            running.score(parts(start, 40, brighter=12))
        yield running


def again(bolts: Line, **asked: Any) -> DriftReplayed:
    """Watch again from inside."""
    found = bolts.call(replay_drift, bolts.service, NAME, **asked)
    assert isinstance(found, DriftReplayed)
    return found


def said(bolts: Line) -> list[dict[str, Any]]:
    """Return all that was said, oldest first."""
    return list(reversed(bolts.get("/history", limit=1000)["images"]))


def test_the_first_alarms_are_those_that_there_were(bolts: Line) -> None:
    """Law: the replay of all traffic alarms first where monitoring did, stream by stream."""
    there_were = {
        name: (each["latched"]["image"], each["latched"]["image_number"])
        for name, each in by_stream(bolts.get("/drift")).items()
        if each["latched"]
    }
    found = again(bolts)
    first: dict[str, tuple[str, int]] = {}
    for each in found.alarms:
        first.setdefault(each.raised.stream, (each.raised.id, each.raised.image))
    assert "brightness" in there_were
    assert there_were.items() <= first.items()
    assert found.images == found.images_watched == NORMAL + BRIGHTER
    assert found.told.promise_images == PROMISE
    assert {name: each.threshold_log10 for name, each in found.streams.items()} == {
        name: each["threshold_log10"] for name, each in by_stream(bolts.get("/drift")).items()
    }


def test_alarms_tell_when_and_how_sure(bolts: Line) -> None:
    """Contract: in order of time, evidence at least the threshold, images that are known."""
    found, known = again(bolts), {each["id"]: each for each in said(bolts)}
    assert found.alarm_count == len(found.alarms) <= MOST_TOLD
    numbers = [each.raised.image for each in found.alarms]
    assert numbers == sorted(numbers)
    assert min(numbers) >= NORMAL
    for each in found.alarms:
        assert each.evidence_log10 >= each.threshold_log10
        assert datetime.fromisoformat(known[each.raised.id]["at"]) == each.raised.at
    for name, watched_ in found.streams.items():
        own = [each for each in found.alarms if each.raised.stream == name]
        assert watched_.alarms == len(own)
        assert (watched_.highest_log10 >= watched_.threshold_log10) == bool(own)
    assert found.summary.startswith(f"{found.alarm_count} alarms in 280 images, the first at ")
    assert found.expected_false_alarms == (NORMAL + BRIGHTER) / PROMISE
    assert "0.028 would be the most" in found.summary


def test_what_did_not_change_is_silent(bolts: Line) -> None:
    """Contract: up to the change, no alarm; what is not kept is told as such."""
    change = datetime.fromisoformat(said(bolts)[NORMAL]["at"])
    before = again(bolts, until=change)
    assert (before.images, before.alarm_count) == (NORMAL, 0)
    assert before.summary.startswith("No alarm in 120 images.")
    after = again(bolts, since=change)
    assert after.images == BRIGHTER
    assert after.first_at == change
    assert after.alarm_count
    nothing = again(bolts, until=change - timedelta(days=1))
    assert (nothing.images, nothing.first_at) == (0, None)
    assert nothing.summary.startswith("No image of that time is kept")


def test_a_longer_promise_alarms_later(bolts: Line) -> None:
    """Law: thresholds are higher by the ratio, and each stream's first alarm is no earlier."""
    short, long = again(bolts, promise_images=1000), again(bolts, promise_images=1_000_000)
    for name, each in short.streams.items():
        assert long.streams[name].threshold_log10 == pytest.approx(each.threshold_log10 + 3)
        assert long.streams[name].alarms <= each.alarms
    first = [
        next(each.raised.image for each in found.alarms if each.raised.stream == "brightness")
        for found in (short, long)
    ]
    assert first[0] < first[1]


def test_images_whose_look_was_not_kept_are_watched_by_their_scores(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: rows from before looks were kept are read; that inputs are not watched is told."""
    kept = bolts.service.history.kept
    rows = kept.rows

    def older(detector_id: str, chunk: str) -> Any:
        found, backbone = rows(detector_id, chunk)
        return replace(found, inputs=None), backbone

    monkeypatch.setattr(kept, "rows", older)
    found = again(bolts)
    assert found.images == NORMAL + BRIGHTER
    assert set(found.streams) == {"bulk", "rate", "frozen"}
    assert found.told.dropped == 0
    assert any("are not watched" in reason for reason in found.told.reasons)


def test_looks_are_kept_with_the_rows_of_what_was_scored(bolts: Line) -> None:
    """Contract: brightness, contrast and sharpness of every image; another lamp is brighter."""
    kept = bolts.service.history.kept
    identity = bolts.service.storage.versions.entry(NAME).id
    looks = []
    for chunk in kept.chunks(identity):
        rows, _ = kept.rows(identity, chunk.id)
        assert rows.inputs is not None
        assert rows.inputs.shape == (chunk.images, 3)
        looks += rows.inputs.tolist()
    brightness = [look[0] for look in looks]
    assert len(brightness) == NORMAL + BRIGHTER
    normal, brighter = brightness[:NORMAL], brightness[NORMAL:]
    assert sum(brighter) / BRIGHTER - sum(normal) / NORMAL == pytest.approx(12, abs=4)


def test_what_another_backbone_saw_is_left_out(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: counted; the rest is seen."""
    kept = bolts.service.history.kept
    rows = kept.rows
    chunks = kept.chunks(bolts.service.storage.versions.entry(NAME).id)

    def strange(detector_id: str, chunk: str) -> Any:
        found, backbone = rows(detector_id, chunk)
        return found, "other" if chunk == chunks[0].id else backbone

    monkeypatch.setattr(kept, "rows", strange)
    found = again(bolts)
    assert found.left_out == chunks[0].images
    assert found.images == NORMAL + BRIGHTER - found.left_out


def test_chunks_that_overlap_are_seen_in_order_of_time(bolts: Line) -> None:
    """Law: however two chunks interleave, images come by their moments, and all of them."""
    identity = bolts.service.storage.versions.entry(NAME).id
    kept = bolts.service.history.kept
    images = [image for chunk in kept.chunks(identity) for image in kept.images_of(chunk)]
    placed = [
        replace(image, at=images[0].at + timedelta(seconds=i)) for i, image in enumerate(images)
    ]
    parts_ = [placed[0:90:2], placed[1:90:2], placed[90:]]
    chunk = kept.chunks(identity)[0]
    chunks = [replace(chunk, first_at=part[0].at, last_at=part[-1].at) for part in parts_]

    async def ordered() -> list[str]:
        async def judged() -> Any:
            for part in parts_:
                scores = bolts.service.catalogue.get(NAME).detector.require_calibrated().scores
                yield Rejudged(part, [scores[: len(part)]])

        return [one.image.id async for _, ready in _in_order(judged(), chunks) for one in ready]

    assert bolts.call(ordered) == [image.id for image in placed]


def test_a_job_watches_again(bolts: Line) -> None:
    """Contract: POST .../drift/replay ends in what the function returns, and changes nothing."""
    bolts.call(bolts.service.drift.settle)  # a window is looked at in the background
    before = bolts.get("/drift")
    answer = bolts.client.post(
        f"/v1/detectors/{NAME}/drift/replay", json={"promise_images": 500, "version": 3}
    )
    assert answer.status_code == 202, answer.text
    while True:
        job = strict(bolts.client.get(answer.headers["location"]))
        if job["state"] not in ("queued", "running"):
            break
    assert job["state"] == "succeeded", job
    assert job["kind"] == "drift-replay"
    result, found = job["result"], again(bolts, promise_images=500)
    assert result["images"] == found.images >= job["images_done"]
    assert bolts.call(size, bolts.service, NAME) == found.images
    assert result["alarm_count"] == found.alarm_count
    assert [each["image"] for each in result["alarms"]] == [each.raised.id for each in found.alarms]
    assert (result["promise_images"], result["version"]) == (500, 3)
    assert result["summary"] == found.summary
    assert bolts.get("/drift") == before


def test_bad_questions_are_refused(bolts: Line) -> None:
    """Contract: by the route in words; what the detector cannot do, by the function."""
    address = f"/v1/detectors/{NAME}/drift/replay"
    for body in ({"promise_images": 1}, {"since": "now"}, {"version": 0}, {"scorer": "kl"}):
        problem(bolts.client.post(address, json=body), 422, "invalid-request")
    unknown = bolts.client.post("/v1/detectors/nuts/drift/replay", json={})
    problem(unknown, 404, "unknown-detector")
    with pytest.raises(NotCalibratedError):
        again(bolts, version=2)


def test_other_calibrations_are_other_baselines(bolts: Line) -> None:
    """Law: a version calibrated on brighter pictures is not alarmed by them; a stale one refuses.

    It comes last, for it changes what is in service.
    """
    brighter = upload(bolts.client, NAME, "calibrate", parts(8000, 200, brighter=12), target=0.02)
    assert brighter.status_code == 200, brighter.text
    change = datetime.fromisoformat(said(bolts)[NORMAL]["at"])
    found = again(bolts, since=change)
    assert found.stored.detector.version == 4
    assert (found.images, found.alarm_count) == (BRIGHTER, 0)
    assert again(bolts, since=change, version=3).alarm_count
    extended = upload(bolts.client, NAME, "fit", parts(9000, 20), mode="extend")
    assert extended.status_code == 200
    with pytest.raises(StaleCalibrationError):
        again(bolts, version=5)
    calibrate(bolts, 1000)
    assert again(bolts, since=change).alarm_count


def test_no_promise_no_replay(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Contract: where nothing is watched, a promise has to be given; then it is replayed."""
    directory = tmp_path_factory.mktemp("unwatched")
    with line(directory, drift_false_alarm_images=0) as running:
        watched(running)
        running.score(parts(5000, 10))
        with pytest.raises(InvalidSpecError, match="give one"):
            again(running)
        assert again(running, promise_images=100).images == 10
        with pytest.raises(InvalidSpecError):
            again(running, promise_images=1)
