"""How large a body may be: little where it is parsed in memory, much where images come."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from history_helpers import NAME, Line, line
from http_helpers import create, problem

from app.middleware import DOCUMENT_BYTES

DOCUMENTS = (
    ("POST", "/v1/detectors"),
    ("POST", f"/v1/detectors/{NAME}/forget"),
    ("PUT", f"/v1/detectors/{NAME}/threshold"),
    ("POST", "/v1/keys"),
    ("POST", "/v1/reviews"),
)


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A service with a detector and the default limits."""
    with line(tmp_path_factory.mktemp("bodies")) as running:
        create(running.client, NAME, scorer="fusion")
        yield running


def pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, 2**20):
        yield b" " * min(2**20, size - start)


@pytest.mark.parametrize(("method", "path"), DOCUMENTS)
@pytest.mark.parametrize("media_type", ["application/json", "image/png", ""])
def test_a_document_has_a_small_limit(bolts: Line, method: str, path: str, media_type: str) -> None:
    """Contract: 413 whatever it calls itself, announced or not."""
    headers = {"content-type": media_type}
    for content in (b" " * (DOCUMENT_BYTES + 1), pieces(DOCUMENT_BYTES + 1)):
        refused = bolts.client.request(method, path, content=content, headers=headers)
        told = problem(refused, 413, "about:blank")
        assert str(DOCUMENT_BYTES) in told["detail"]


@pytest.mark.parametrize("verb", ["score", "explain", "map", "fit"])
def test_images_have_a_large_one(bolts: Line, verb: str) -> None:
    """Contract: where images come, the limits are those of the settings."""
    path = f"/v1/detectors/{NAME}/{verb}"
    headers = {"content-type": "image/png"}
    answer = bolts.client.post(path, content=b" " * (DOCUMENT_BYTES + 1), headers=headers)
    assert answer.status_code != 413, answer.text


def test_the_largest_forgetting_fits(bolts: Line) -> None:
    """Contract: as many digests and groups as may be named, in JSON's longest way to write them."""
    groups = [f"{number:04}" + "\N{GRINNING FACE}" * 196 for number in range(1000)]
    body = {"sha256": [f"{number:064x}" for number in range(20_000)], "groups": groups}
    content = json.dumps(body, indent=1).encode()
    assert len(content) > 3 * 2**20
    headers = {"content-type": "application/json"}
    path = f"/v1/detectors/{NAME}/forget"
    problem(bolts.client.post(path, content=content, headers=headers), 409, "not-fitted")


def test_a_smaller_limit_of_the_settings_counts(tmp_path: Path) -> None:
    """Contract: for documents, too."""
    with line(tmp_path, max_body_bytes=1000) as bolts:
        refused = bolts.client.post("/v1/keys", content=b" " * 1001)
        assert "1000 bytes" in problem(refused, 413, "about:blank")["detail"]
