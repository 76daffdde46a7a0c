"""A line of parts under a camera: pictures, an app on a backbone without torch, what it scored."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from http_helpers import SIDE_PX, create, encode, strict, upload
from starlette.testclient import TestClient
from stub_backbone import stub_embedder

from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Telemetry

NAME = "bolts"


def picture(seed: int, odd: int = 0) -> bytes:
    """Return a picture of noise around a colour; the odder, the brighter a corner of it."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 160, size=(SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    pixels[:24, :24] += np.uint8(odd)
    return encode(pixels, "BMP")


class Line:
    """A service that inspects, reached by HTTP and from inside."""

    def __init__(self, client: TestClient, service: Service) -> None:
        self.client = client
        self.service = service

    def fit(self, images: int = 40, calibration: int = 39, **query: Any) -> None:
        """Create, fit and calibrate the detector."""
        create(self.client, NAME, scorer="fusion")
        assert self.verb("fit", range(images)).status_code == 200
        assert self.verb("calibrate", range(1000, 1000 + calibration), **query).status_code == 200

    def verb(self, verb: str, seeds: Iterable[int], **query: Any) -> Any:
        """Send normal pictures to be fitted or calibrated with."""
        return upload(self.client, NAME, verb, [picture(seed) for seed in seeds], **query)

    def score(self, contents: Iterable[bytes], **query: Any) -> list[dict[str, Any]]:
        """Score pictures; return their results, once they are kept."""
        answer = upload(self.client, NAME, "score", contents, **query)
        assert answer.status_code == 200, answer.text
        self.call(self.service.history.flush)
        return list(strict(answer)["results"])

    def call(self, work: Any, *arguments: Any, **named: Any) -> Any:
        """Run a coroutine function in the service's event loop."""
        assert self.client.portal is not None
        return self.client.portal.call(partial(work, *arguments, **named))

    def review(self, image: str, word: str, note: str = "") -> Any:
        """Say a word on an image."""
        body = {"image": image, "word": word, "note": note}
        return self.client.post("/v1/reviews", json=body)

    def get(self, path: str, **query: Any) -> Any:
        """Return what a path below the detector answers."""
        answer = self.client.get(f"/v1/detectors/{NAME}{path}", params=query)
        assert answer.status_code == 200, answer.text
        return strict(answer)

    def replayed(self, **body: Any) -> Any:
        """Return the ended job of a replay."""
        answer = self.client.post(f"/v1/detectors/{NAME}/replay", json=body)
        assert answer.status_code == 202, answer.text
        deadline = time.monotonic() + 120
        while True:
            job = strict(self.client.get(answer.headers["location"]))
            if job["state"] in ("succeeded", "failed"):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.01)


@contextmanager
def line(directory: Path, database: str | None = None, **settings: Any) -> Iterator[Line]:
    """Run a service, as behind a real server; a failure inside it is an answer."""
    knobs = Settings(data_dir=directory, device="cpu", **settings)
    storage = Storage.open(directory, database=database)
    service = Service(knobs, stub_embedder(), storage, Telemetry())
    app = create_app(knobs, service)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield Line(client, service)
