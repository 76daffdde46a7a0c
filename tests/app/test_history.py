"""What was scored can be asked for; nothing of it is in scoring's way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import problem, strict, upload

from app.storage.columns import METADATA


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A calibrated detector of bolts."""
    with line(tmp_path) as running:
        running.fit()
        yield running


def pages(bolts: Line, limit: int, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the pages of the history."""
    cursor: dict[str, str] = {}
    while True:
        page = bolts.get("/history", limit=limit, **cursor, **query)
        yield page["images"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


def test_what_was_said_is_what_is_told(bolts: Line) -> None:
    """Law: every number of an answer is kept as it was, under its id and in the history."""
    contents = [picture(2000 + i, odd=90 * (i % 2)) for i in range(6)]
    results = bolts.score(contents, group="monday")
    told = {each["id"]: each for page in pages(bolts, 100) for each in page}
    assert len({each["verdict"] for each in results}) == 2
    assert told.keys() == {each["id"] for each in results}
    for each in results:
        image = told[each["id"]]
        same = ("name", "score", "threshold", "p_value", "verdict")
        assert {key: image[key] for key in same} == {key: each[key] for key in same}
        assert (image["detector"], image["version"], image["group"]) == (NAME, 3, "monday")
        alone = strict(bolts.client.get(f"/v1/images/{each['id']}"))
        assert alone == {"image": image, "reviews": []}


def test_an_image_can_be_asked_for_at_once(bolts: Line) -> None:
    """Contract: the second that rows wait for others is not seen from outside."""
    answer = bolts.client.post(
        f"/v1/detectors/{NAME}/score", content=picture(1), headers={"content-type": "image/bmp"}
    )
    (result,) = strict(answer)["results"]
    assert bolts.client.get(f"/v1/images/{result['id']}").status_code == 200


def test_pages_are_the_whole_newest_first(bolts: Line) -> None:
    """Law: pages of any size give every image once, in order of time, filtered or not."""
    for start in range(3):
        bolts.score([picture(3000 + 10 * start + i, odd=90 * (i == 0)) for i in range(4)])
    whole = next(pages(bolts, 100))
    assert len(whole) == 12
    moments = [each["at"] for each in whole]
    assert moments == sorted(moments, reverse=True)
    for limit in (1, 5, 12):
        assert [each for page in pages(bolts, limit) for each in page] == whole
    flagged = [each for each in whole if each["verdict"] == "anomalous"]
    assert len(flagged) >= 3
    found = [each for page in pages(bolts, 2, verdict="anomalous") for each in page]
    assert found == flagged
    middle = moments[4]
    later = [each for each in whole if each["at"] >= middle]
    assert next(pages(bolts, 100, since=middle)) == later
    assert next(pages(bolts, 100, until=middle)) == [each for each in whole if each["at"] < middle]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"cursor": "1-x"},
        {"verdict": "odd"},
        {"since": "yesterday"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"since": "5"},
    ],
)
def test_bad_queries_are_refused(bolts: Line, query: dict[str, Any]) -> None:
    """Contract: 422 with words."""
    answer = bolts.client.get(f"/v1/detectors/{NAME}/history", params=query)
    problem(answer, 422, "invalid-request")


def test_unknown_images_and_detectors(bolts: Line) -> None:
    """Contract: 404, and why an image may be gone."""
    gone = problem(bolts.client.get(f"/v1/images/{'0' * 32}"), 404, "unknown-image")
    assert "GATEWATCH_HISTORY" in gone["detail"]
    problem(bolts.client.get("/v1/detectors/nuts/history"), 404, "unknown-detector")


def test_history_can_be_off(tmp_path: Path) -> None:
    """Contract: with no bytes nothing of an image is kept, neither row nor blob."""
    with line(tmp_path, history_bytes=0) as bolts:
        bolts.fit()
        (result,) = bolts.score([picture(1)])
        problem(bolts.client.get(f"/v1/images/{result['id']}"), 404, "unknown-image")
        assert bolts.get("/history")["images"] == []
        assert bolts.service.storage.blobs.names("history") == []


def test_the_rows_of_a_deleted_detector_go(bolts: Line) -> None:
    """Contract: nothing in the tables names it any more, and its blobs are gone."""
    results = bolts.score([picture(5, odd=90)])
    assert bolts.review(results[0]["id"], "confirmed").status_code == 201
    assert len(bolts.service.storage.blobs.names("history")) == 1
    assert bolts.client.delete(f"/v1/detectors/{NAME}").status_code == 204
    problem(bolts.client.get(f"/v1/images/{results[0]['id']}"), 404, "unknown-image")
    assert bolts.service.storage.blobs.names("history") == []
    with bolts.service.storage.database.read() as connection:
        for name in ("scored", "chunks", "reviews", "shadows"):
            assert connection.execute(METADATA.tables[name].select()).all() == []


def test_a_failing_store_fails_no_score(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: scores go on; what is not kept is counted, and said once a minute."""

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(bolts.service.history.kept, "write", broken)
    for seed in range(3):
        bolts.score([picture(seed)])
    assert bolts.get("/history")["images"] == []
    metrics = bolts.client.get("/metrics").text
    assert "gatewatch_history_dropped_images_total 3.0" in metrics
    monkeypatch.undo()
    bolts.score([picture(9)])
    assert len(bolts.get("/history")["images"]) == 1


def test_a_restart_keeps_what_was_noted(tmp_path: Path) -> None:
    """Law: stopping writes what waits; a new process tells it."""
    with line(tmp_path) as bolts:
        bolts.fit()
        answer = bolts.client.post(
            f"/v1/detectors/{NAME}/score", content=picture(1), headers={"content-type": "image/bmp"}
        )
        (result,) = strict(answer)["results"]
    with line(tmp_path) as again:
        image = strict(again.client.get(f"/v1/images/{result['id']}"))["image"]
    assert (image["score"], image["verdict"]) == (result["score"], result["verdict"])


@pytest.mark.parametrize("group", ["\0", "a\nb", "\x7f"])
def test_a_group_that_cannot_be_kept_is_refused(bolts: Line, group: str) -> None:
    """Contract: before anything is scored; as where images are fitted or forgotten by group."""
    answer = upload(bolts.client, NAME, "score", [picture(1)], group=group)
    told = problem(answer, 422, "invalid-group")
    assert "control characters" in told["detail"]
    forget = bolts.client.post(f"/v1/detectors/{NAME}/forget", json={"groups": [group]})
    problem(forget, 422, "invalid-group")
