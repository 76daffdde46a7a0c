"""A batch as a whole: near what was fitted, or not; and what makes no batch."""

from collections.abc import Iterator
from typing import Any

import pytest
from http_helpers import Pixels, calibrated, create, encode, problem, running, send, strict, upload
from starlette.testclient import TestClient

from detector.embedder import Embedder


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Iterator[TestClient]:
    """A detector fitted to forty images, and one to nothing."""
    with running(tmp_path_factory.mktemp("divergence"), embedder) as client:
        calibrated(client, "gaussian", pngs[:40] + pngs[40:60], scorer="gaussian")
        create(client, "bare")
        yield client


def compare(client: TestClient, contents: list[bytes]) -> Any:
    response = upload(client, "gaussian", "divergence", contents)
    assert response.status_code == 200, response.text
    return strict(response)


def test_a_batch_of_the_same_kind_is_near_and_another_far(
    client: TestClient, texture: list[Pixels], pngs: list[bytes]
) -> None:
    """Contract: excess is near 0 for more of the same, far from it for inverted pictures."""
    same = compare(client, pngs[60:80])
    other = compare(client, [encode(255 - pixels // 4) for pixels in texture[60:]])
    blocks = len(same["blocks"])
    assert abs(same["excess"]) / blocks < 1
    assert other["excess"] / blocks > 10


def test_parts_add_up(client: TestClient, pngs: list[bytes]) -> None:
    """Law: kl is the sum of its parts, excess what lies above chance, the total over blocks."""
    answer = compare(client, pngs[60:80])
    assert (answer["detector"], answer["version"], answer["images"]) == ("gaussian", 3, 20)
    assert answer["rejected"] == []
    assert list(answer["blocks"]) == strict(client.get("/v1/info"))["blocks"]
    for part in answer["blocks"].values():
        assert part["kl"] == pytest.approx(part["mean"] + part["scale"] + part["correlation"])
        assert part["excess"] == pytest.approx(part["kl"] - part["null"])
        assert min(part["kl"], part["mean"], part["scale"], part["null"]) >= 0
        assert (part["rows"], part["directions"]) == (20, 5)
    total = sum(part["excess"] for part in answer["blocks"].values())
    assert answer["excess"] == pytest.approx(total)


def test_bad_images_are_left_out_by_name(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: listed with their problem; the others are compared as if alone."""
    mixed = compare(client, [*pngs[60:64], b"no image", *pngs[64:68], b""])
    assert mixed["images"] == 8
    assert [each["name"] for each in mixed["rejected"]] == ["4.png", "9.png"]
    kinds = {each["problem"]["type"] for each in mixed["rejected"]}
    assert kinds == {"urn:gatewatch:problem:undecodable-image"}
    alone = compare(client, pngs[60:68])
    assert mixed["excess"] == pytest.approx(alone["excess"], rel=1e-3)


def test_what_is_no_batch_is_refused(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: one image, raw or not, or one that is left, makes none; nor do none."""
    for answer in (
        send(client, "gaussian", pngs[0], verb="divergence"),
        upload(client, "gaussian", "divergence", pngs[:1]),
        upload(client, "gaussian", "divergence", [pngs[0], b"no image"]),
        upload(client, "gaussian", "divergence", [b"", b"no image"]),
    ):
        assert "at least 2" in problem(answer, 422, "degenerate-data")["detail"]
    problem(upload(client, "bare", "divergence", pngs[:2]), 409, "not-fitted")
    problem(upload(client, "nobody", "divergence", pngs[:2]), 404, "unknown-detector")
