"""A lone image over HTTP: one thread takes it all the way, or several do; nobody sees which."""

import base64
from pathlib import Path
from typing import Any

import pytest
from history_helpers import picture
from http_helpers import create, send, strict, upload
from job_helpers import Held, Life, life, until

NAME = "bolts"
BMP = picture(900)
GOOD = 4
"""Of those that are sent, those that can be seen."""
TEXT = base64.b64encode(BMP).decode()


def answers(here: Life) -> list[Any]:
    """Return what the service says of lone images, sound and not, and what it keeps of them."""
    path = f"/v1/detectors/{NAME}/score"

    def document(data: str, **query: str) -> Any:
        image = {"name": "a", "data": data}
        return here.client.post(path, json={"images": [image]}, params=query)

    asked = [
        send(here.client, NAME, BMP, "image/bmp"),
        send(here.client, NAME, b"no image", "image/png"),
        upload(here.client, NAME, "score", [BMP]),
        upload(here.client, NAME, "score", [b"no image"]),
        document(TEXT),
        document("!!"),
        document(base64.b64encode(b"no image").decode()),
        document(TEXT, false_discovery_rate="0.1"),
        document(TEXT, group="lot-1"),
        document(TEXT, version="1"),
        here.client.post("/v2/models/bolts/infer", json={"inputs": []}),
    ]
    told = [(answer.status_code, _timeless(answer.json())) for answer in asked]
    found = here.client.get("/metrics").text.splitlines()
    counts = sorted(line for line in found if line.startswith(("gatewatch_images_",)))

    def kept() -> list[Any]:
        return list(strict(here.client.get(f"/v1/detectors/{NAME}/history"))["images"])

    until(lambda: len(kept()) >= GOOD)
    return [told, counts, [(one["name"], one["group"]) for one in kept()]]


def _timeless(told: Any) -> Any:
    """Return an answer without what is another each time."""
    if isinstance(told, dict):
        left = {"id", "timings_ms", "request_id", "instance"}
        return {key: _timeless(value) for key, value in told.items() if key not in left}
    return [_timeless(each) for each in told] if isinstance(told, list) else told


def test_answers_are_those_of_the_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: results, problems in their places, counters and history."""
    found = []
    for lanes in (1, 2):
        monkeypatch.setattr(Held, "lanes", lanes)
        with life(tmp_path / str(lanes)) as here:
            create(here.client, NAME)
            assert here.ended(here.begun("fit", range(4)))["state"] == "succeeded"
            found.append(answers(here))
    several, one = found
    assert one == several
    statuses = [status for status, _ in one[0]]
    assert statuses == [200, 422, 200, 200, 200, 200, 200, 409, 200, 409, 422], statuses
