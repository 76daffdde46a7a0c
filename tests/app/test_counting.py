"""Metrics of what is kept follow the database, whoever has changed it."""

import asyncio
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import history_helpers
import pytest
from history_helpers import NAME, Line, picture

from app import counting
from app.counting import count
from app.storage.audit import By
from app.storage.census import census


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with history_helpers.line(tmp_path) as line:
        yield line


def value(line: Line, name: str, **labels: str) -> float | None:
    registry = line.service.telemetry.registry
    return registry.get_sample_value(f"gatewatch_{name}", {"model": NAME, **labels})


def test_images_wait_until_they_are_reviewed(line: Line) -> None:
    """Contract: flagged ones count until there is a word on them; reviews count by their word."""
    line.fit(target=0.1)
    results = line.score([picture(seed, odd=60 * (seed % 2)) for seed in range(5000, 5008)])
    flagged = [each["id"] for each in results if each["flagged"]]
    assert 1 < len(flagged) < len(results)
    count(line.service)
    assert value(line, "review_queue_images") == len(flagged)
    assert line.review(flagged[0], "confirmed").status_code == 201
    count(line.service)
    assert value(line, "review_queue_images") == len(flagged) - 1
    assert value(line, "reviews_total", label="confirmed") == 1
    assert value(line, "reviews_total", label="missed") == 0


def test_none_waits_once_people_agreed_with_all(line: Line) -> None:
    """Contract: a word for the service's being right fits each image that waits."""
    line.fit(target=0.05, review_target=0.6)
    odd = [90, 0, 0, 0, 0, 0]
    results = line.score([picture(5000 + seed, by) for seed, by in enumerate(odd)])
    uncertain = [each for each in results if each["verdict"] == "uncertain"]
    flagged = [each for each in results if each["flagged"]]
    assert uncertain
    assert flagged
    for word, images in (("confirmed", flagged), ("passed", uncertain)):
        for each in images:
            assert line.review(each["id"], word).status_code == 201
    count(line.service)
    assert value(line, "review_queue_images") == 0
    assert value(line, "reviews_total", label="passed") == len(uncertain)
    (told,) = line.client.get("/v1/traffic").json()["detectors"]
    assert told["to_review"] == 0


def test_bytes_are_those_of_the_chunks(line: Line) -> None:
    """Contract: as large as the blobs that hold the rows."""
    line.fit()
    count(line.service)
    assert value(line, "store_bytes") == 0
    line.score([picture(seed) for seed in range(6000, 6003)])
    count(line.service)
    storage = line.service.storage
    identity = storage.versions.entry(NAME).id
    chunks = line.service.history.kept.chunks(identity)
    assert value(line, "store_bytes") == sum(chunk.size_bytes for chunk in chunks) > 1000


def test_a_fit_is_as_old_as_its_first_version(line: Line) -> None:
    """Contract: calibrating anew does not make it younger, fitting anew does."""
    line.client.post("/v1/detectors", json={"name": NAME})
    count(line.service)
    assert math.isnan(value(line, "reference_fitted_timestamp_seconds") or 0.0)
    line.client.delete(f"/v1/detectors/{NAME}")
    line.fit()
    count(line.service)
    first = value(line, "reference_fitted_timestamp_seconds")
    assert first is not None
    assert time.time() - 600 < first <= time.time()
    assert line.verb("calibrate", range(2000, 2039)).status_code == 200
    count(line.service)
    assert value(line, "reference_fitted_timestamp_seconds") == first
    assert line.verb("fit", range(40), promote="always").status_code == 200
    count(line.service)
    assert (value(line, "reference_fitted_timestamp_seconds") or 0.0) > first


def test_what_another_process_deletes_goes(line: Line) -> None:
    """Law: forget = never seen, also if somebody else forgets."""
    line.fit()
    count(line.service)
    assert value(line, "images_scored_total", verdict="normal") == 0
    line.service.storage.versions.delete(NAME, By("another process"))
    count(line.service)
    assert value(line, "images_scored_total", verdict="normal") is None
    assert value(line, "store_bytes") is None
    assert census(line.service.storage.database) == {}


def test_a_failed_count_is_tried_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the part lives on, and the next count may do better."""
    line.fit()
    tries: list[float] = []

    def fails(_service: Any) -> None:
        tries.append(time.monotonic())
        raise OSError("no disk")

    monkeypatch.setattr(counting, "EVERY_S", 0.01)
    monkeypatch.setattr(counting, "count", fails)

    async def some() -> None:
        async with counting.counting(line.service):
            while len(tries) < 3:
                await asyncio.sleep(0.01)

    line.call(some)
    assert "count" not in line.service.heartbeats.dead
