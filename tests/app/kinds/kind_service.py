"""A service with one detector of one kind of data, and how samples are sent to it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from documented_kind import documented_kind
from http_helpers import followed
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
