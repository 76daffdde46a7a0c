"""Adapting gates over HTTP: images that will just do, and jobs of them until they train or end."""

import time
from pathlib import Path
from typing import Any

from http_helpers import strict
from starlette.testclient import TestClient

from detector.adapt import HELD_OUT_SHARE, LEAST_HELD_OUT, LEAST_TRAIN
from models.gate_training import is_held_out
from models.synthetic_defects import JUDGED

SEED = 3


def names() -> list[str]:
    """Return names of which as few are held out, and as few are not, as will do; one more each."""
    chosen = [f"{index}.png" for index in range(80)]
    apart = [name for name in chosen if is_held_out(Path(name), HELD_OUT_SHARE)]
    rest = [name for name in chosen if name not in apart]
    return apart[: LEAST_HELD_OUT + 1] + rest[: LEAST_TRAIN + 1]


def submit(client: TestClient, images: dict[str, bytes], headers: Any = None, **query: Any) -> Any:
    """Send images to be adapted to, as a form; return the response."""
    files = [("images", (name, content, "image/png")) for name, content in images.items()]
    query = {"size": 64, "seed": SEED} | query
    return client.post("/v1/adapt", files=files, params=query, headers=headers)


def under_way(client: TestClient, identity: str) -> dict[str, Any]:
    """Return a job once it trains: images were read before, and judged with and without defects."""
    before = 1 + 2 * len(names()) + len(JUDGED) * (LEAST_HELD_OUT + 1)
    deadline = time.monotonic() + 180
    while True:
        job = dict(strict(client.get(f"/v1/jobs/{identity}")))
        assert job["state"] in ("queued", "running"), job
        assert time.monotonic() < deadline, job
        if job["images_done"] > before:
            return job
        time.sleep(0.25)


def ended(client: TestClient, identity: str) -> dict[str, Any]:
    """Return a job once it has ended; asked more often, it would have less of the processor."""
    deadline = time.monotonic() + 180
    while (job := dict(strict(client.get(f"/v1/jobs/{identity}"))))["ended_at"] is None:
        assert time.monotonic() < deadline, job
        time.sleep(0.25)
    return job
