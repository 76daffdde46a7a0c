"""A service with one detector of one kind of data, and how samples are sent to it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from documented_kind import documented_kind
from http_helpers import encode, followed
from kind_samples import samples
from starlette.testclient import TestClient

from detector import kinds
from detector.embedder import Embedder
from detector.kinds import LearnedKind

documented = documented_kind()
LEARNED = sorted({name for name, k in kinds.KINDS.items() if isinstance(k, LearnedKind)})
NAMES = sorted({*LEARNED, documented.name})
OCTETS = {"content-type": "application/octet-stream"}
FITTED, HELD_OUT = 32, 24


@dataclass
class Served:
    """A service with one detector, fitted and calibrated, of one kind."""

    kind: LearnedKind[Any, Any]
    client: TestClient
    directory: Path
    embedder: Embedder
    fitted: dict[str, Any] = field(default_factory=dict)

    def send(self, action: str, contents: list[bytes], name: str = "d", **query: Any) -> Any:
        """Send samples as files of a form; return the answer, or how the job ended."""
        suffix = self.kind.suffixes[0]
        files = [("images", (f"{i:03d}{suffix}", each)) for i, each in enumerate(contents)]
        path = f"/v1/detectors/{name}/{action}"
        return followed(self.client, self.client.post(path, files=files, params=query))

    def raw(self, action: str, content: bytes, name: str = "d", **query: Any) -> Any:
        """Send one sample as a body."""
        path = f"/v1/detectors/{name}/{action}"
        return self.client.post(path, content=content, headers=OCTETS, params=query)

    def scores(self, contents: list[bytes], name: str = "d") -> list[float]:
        """Return the scores of samples sent together."""
        answer = self.send("score", contents, name, places=False)
        assert answer.status_code == 200, answer.text
        return [result["score"] for result in answer.json()["results"]]


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    """Return the problem that an answer is."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["detail"]
    return problem


def clone(served: Served, name: str) -> None:
    """Fit another detector of the kind, without a line, to the same samples."""
    served.client.post("/v1/detectors", json={"name": name, "kind": served.kind.name})
    assert served.send("fit", samples(served.kind.name, 32), name).status_code == 200


def fit_pictures(served: Served) -> None:
    """Fit a detector of images called ``pictures``."""
    body = {"name": "pictures", "image_size": 64, "scorer": "gaussian"}
    if served.client.post("/v1/detectors", json=body).status_code == 201:
        noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
        files = [("images", (f"{i}.png", encode(each))) for i, each in enumerate(noise)]
        sent = served.client.post("/v1/detectors/pictures/fit", files=files)
        assert followed(served.client, sent).status_code == 200
