"""The past judged again: by the same version to the bit, by others as they would have judged."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import problem
from replay_helpers import ODD, again, lived, said

from app.lines import Line as Threshold
from app.past.rejudging import Judge, rejudge
from app.past.replay import size
from app.past.tally import MOST_CHANGED, step_of
from app.storage.reviews import ReviewWord


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A detector whose versions 3 and 4 have scored; 5 was extended, and does not serve."""
    with line(tmp_path_factory.mktemp("replay")) as running:
        yield lived(running)


@pytest.mark.parametrize("version", [3, 4])
def test_the_same_version_says_the_same(bolts: Line, version: int) -> None:
    """Law: of what a version scored, its replay says what was said, to the bit."""
    moments = sorted(each["at"] for each in said(bolts) if each["version"] == version)
    first, last = (datetime.fromisoformat(moments[i]) for i in (0, -1))
    found = again(bolts, version=version, since=first, until=last + timedelta(microseconds=1))
    assert found.images == len(moments) == {3: 72, 4: 24}[version]
    assert found.then == found.now
    assert found.changed == []
    assert (found.newly_flagged, found.no_longer_flagged, found.left_out) == (0, 0, 0)


def test_rows_give_the_scores_that_were_given(bolts: Line) -> None:
    """Law: what is judged from kept rows is what was judged from the picture."""
    stored = bolts.service.catalogue.get(NAME)
    judges = [Judge(stored.detector, None), Judge.of(stored)]  # by the rows, by what was said
    chunks = bolts.service.history.kept.chunks(stored.entry.id)

    async def both() -> list[Any]:
        return [each async for each in rejudge(bolts.service, stored.entry, judges, chunks)]

    parts = bolts.call(both)
    assert sum(len(part.images) for part in parts) == len(said(bolts))
    for part in parts:
        np.testing.assert_array_equal(part.scores[1], [image.score for image in part.images])
        np.testing.assert_allclose(part.scores[0], part.scores[1], rtol=1e-12)


def test_another_version_judges_as_it_does_now(bolts: Line) -> None:
    """Law: a replay by a version says of an image what scoring it with that version says."""
    stale = again(bolts, version=5)
    pictures = [picture(5000 + i, ODD[i % len(ODD)]) for i in range(72)]
    results = bolts.score(pictures, version=5, allow_stale=True)
    flagged = [each["flagged"] for each in results]
    assert stale.now["anomalous"] == sum(flagged) + sum(flagged[:24])
    scores = np.array([each["score"] for each in results])
    for each in stale.changed:
        assert np.isclose(scores, each.score, rtol=1e-9).any()


def test_counts_are_those_of_a_plain_loop(bolts: Line) -> None:
    """Reference: a threshold by value, counted one by one."""
    everything = said(bolts)
    value = float(np.median([each["score"] for each in everything]))
    found = again(bolts, threshold=Threshold("manual", {"value": value}))
    was = [each["verdict"] == "anomalous" for each in everything]
    now = [each["score"] > value for each in everything]
    assert found.then == Counter(each["verdict"] for each in everything)
    assert found.now == Counter({True: "anomalous", False: "normal"}[each] for each in now)
    assert found.newly_flagged == sum(b and not a for a, b in zip(was, now, strict=True))
    assert found.no_longer_flagged == sum(a and not b for a, b in zip(was, now, strict=True))
    assert sum(each.images for each in found.bins.values()) == len(everything)
    assert sum(each.flagged_now for each in found.bins.values()) == sum(now)
    assert sum(each.flagged_then for each in found.bins.values()) == sum(was)
    assert all(start.minute == 0 for start in found.bins)
    flips = [each.image.id for each in found.changed if each.verdict != each.image.verdict]
    changing = {each["id"] for each, a, b in zip(everything, was, now, strict=True) if a != b}
    assert len(found.changed) == MOST_CHANGED
    assert set(flips) <= changing
    assert len(flips) == min(len(changing), MOST_CHANGED)


def test_times_bound_a_replay(bolts: Line) -> None:
    """Law: two replays of parts count together what one of the whole does."""
    moments = sorted(datetime.fromisoformat(each["at"]) for each in said(bolts))
    middle = moments[len(moments) // 2]
    whole, first, last = again(bolts), again(bolts, until=middle), again(bolts, since=middle)
    assert first.images
    assert last.images
    assert first.images + last.images == whole.images
    assert first.now + last.now == whole.now
    assert bolts.call(size, bolts.service, NAME) == whole.images
    nothing = again(bolts, until=moments[0] - timedelta(days=1))
    assert (nothing.images, nothing.bins, nothing.changed) == (0, {}, [])


def test_reviews_are_honoured(bolts: Line) -> None:
    """Reference: reviewed images, counted by their latest word."""
    everything = said(bolts)
    flagged = [each for each in everything if each["verdict"] == "anomalous"][:3]
    normal = [each for each in everything if each["verdict"] == "normal"][:2]
    for each in flagged:
        assert bolts.review(each["id"], "false_alarm").status_code == 201
    assert bolts.review(flagged[0]["id"], "confirmed").status_code == 201
    for each, said_to_be in zip(normal, ("missed", "passed"), strict=True):
        assert bolts.review(each["id"], said_to_be).status_code == 201
    found = again(bolts, threshold=Threshold("manual", {"value": 1e9})).reviews
    counts = {
        name: (each.images, each.flagged_then, each.flagged_now) for name, each in found.items()
    }
    assert counts == {
        "confirmed": (1, 1, 0),
        "false_alarm": (2, 2, 0),
        "missed": (1, 0, 0),
        "passed": (1, 0, 0),
    }
    lower = again(bolts, threshold=Threshold("manual", {"value": 0.0})).reviews["passed"]
    assert (lower.images, lower.flagged_then, lower.flagged_now) == (1, 0, 1)


def test_long_spans_are_counted_by_the_day(bolts: Line) -> None:
    """Contract: from more than three days on a bin is a day."""
    kept = bolts.service.history.kept
    identity = bolts.service.storage.versions.entry(NAME).id
    chunks = kept.chunks(identity)
    assert again(bolts).step == "hour"
    far = replace(chunks[-1], last_at=chunks[0].first_at + timedelta(days=4))
    assert step_of([chunks[0], far], None, None) == "day"
    assert step_of([chunks[0], far], None, chunks[0].first_at + timedelta(days=1)) == "hour"


def test_what_another_backbone_saw_is_left_out(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: counted, not judged; the rest is."""
    kept = bolts.service.history.kept
    whole = again(bolts, version=5)
    chunks = kept.chunks(whole.stored.entry.id)
    rows = kept.rows

    def strange(detector_id: str, chunk: str) -> Any:
        found, backbone = rows(detector_id, chunk)
        return found, "other" if chunk == chunks[0].id else backbone

    monkeypatch.setattr(kept, "rows", strange)
    found = again(bolts, version=5)
    assert found.left_out == chunks[0].images
    assert found.images == whole.images - chunks[0].images


def test_chunks_that_go_meanwhile_are_passed_over(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the caps may remove what a replay has yet to read; it goes on."""
    kept = bolts.service.history.kept
    chunks = kept.chunks(bolts.service.storage.versions.entry(NAME).id)
    whole = again(bolts, version=5)
    blob = bolts.service.storage.blobs.get(chunks[0].blob)
    bolts.service.storage.blobs.delete(chunks[0].blob)
    try:
        assert again(bolts, version=5).images == whole.images - chunks[0].images
    finally:
        bolts.service.storage.blobs.put(chunks[0].blob, blob)


def test_a_job_replays(bolts: Line) -> None:
    """Contract: POST .../replay ends in what the function returns; versions stay as they are."""
    before = bolts.get("/versions")
    job = bolts.replayed(scorer="regional", threshold={"method": "conformal", "target": 0.1})
    assert job["state"] == "succeeded", job
    result = job["result"]
    assert job["images_done"] == result["images"] == len(said(bolts))
    assert result["scorer"] == "regional"
    assert result["threshold"]["target"] == 0.1
    assert sum(result["now"].values()) == result["images"]
    assert set(get_args(ReviewWord)) >= result["reviews"].keys()
    assert bolts.get("/versions") == before


def test_bad_replays_are_refused(bolts: Line) -> None:
    """Contract: by the route, or by the job's problem; in words."""
    address = f"/v1/detectors/{NAME}/replay"
    for body in (
        {"scorer": "magic"},
        {"since": "now"},
        {"threshold": {"method": "x"}},
        {"version": 0},
    ):
        problem(bolts.client.post(address, json=body), 422, "invalid-request")
    job = bolts.replayed(threshold={"method": "conformal", "target": 0.001})
    assert job["problem"]["type"].endswith("insufficient-calibration")
    job = bolts.replayed(version=99)
    assert job["problem"]["type"].endswith("unknown-version")
    unknown = bolts.client.post("/v1/detectors/nuts/replay", json={})
    problem(unknown, 404, "unknown-detector")


def test_memory_stays_flat(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: what a replay holds at once does not grow with the past."""
    kept = bolts.service.history.kept
    chunks = kept.chunks(bolts.service.storage.versions.entry(NAME).id)
    peaks = []
    for times in (2, 40):
        monkeypatch.setattr(kept, "chunks", lambda *_, many=chunks * times: many)
        tracemalloc.start()
        assert again(bolts, scorer="regional").images == times * len(said(bolts))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
