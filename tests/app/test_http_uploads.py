"""All the ways to send images, right and wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_helpers import Pixels, calibrated, encode, problem, result, running, send, strict, upload
from PIL import Image
from starlette.testclient import TestClient

from detector.embedder import Embedder


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, texture: list[Pixels]
) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("uploads"), embedder) as client:
        calibrated(client, "gravel", [encode(pixels) for pixels in texture[:40]], scorer="gaussian")
        yield client


@pytest.fixture(scope="module")
def picture(photographs: list[Pixels]) -> Image.Image:
    return Image.fromarray(photographs[2]).resize((150, 100))


@pytest.fixture(scope="module")
def reference(client: TestClient, picture: Image.Image) -> float:
    """The picture's score as PNG."""
    return float(result(client, "gravel", encode(picture))["score"])


@pytest.mark.parametrize(
    "sent",
    ["application/pdf", "application/x-tar+json", "application/x-www-form-urlencoded", "x", ""],
)
def test_another_content_type_is_415_and_names_the_right_ones(
    client: TestClient, picture: Image.Image, sent: str
) -> None:
    """Contract: also on fit and calibrate."""
    headers = {"content-type": sent}
    for verb in ("score", "fit", "calibrate"):
        address = f"/v1/detectors/gravel/{verb}"
        response = client.post(address, content=encode(picture), headers=headers)
        found = problem(response, 415, "unsupported-media-type")
        assert "multipart/form-data" in found["detail"]


@pytest.mark.parametrize("sent", ["image/png", "IMAGE/JPEG; q=1", "application/octet-stream"])
def test_the_bytes_decide_what_an_image_is(
    client: TestClient, picture: Image.Image, reference: float, sent: str
) -> None:
    """Contract: any image type, in any case, with parameters, is an image."""
    response = send(client, "gravel", encode(picture), sent)
    assert strict(response)["results"][0]["score"] == pytest.approx(reference, rel=1e-6)


FORMS: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"--b--\r\n", 422, "no-images"),
    "no form": (b"garbage", 400, "malformed-upload"),
    "cut short": (
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\nabc',
        400,
        "malformed-upload",
    ),
    "another field": (
        b'--b\r\nContent-Disposition: form-data; name="x"; filename="a"\r\n\r\nabc\r\n--b--\r\n',
        400,
        "malformed-upload",
    ),
    "text for a file": (
        b'--b\r\nContent-Disposition: form-data; name="images"\r\n\r\nabc\r\n--b--\r\n',
        400,
        "malformed-upload",
    ),
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("verb", ["score", "fit", "calibrate"])
def test_a_bad_form_is_a_4xx(client: TestClient, kind: str, verb: str) -> None:
    """Contract: an empty batch, a broken or a foreign form; the detector stays as it was."""
    content, status, name = FORMS[kind]
    headers = {"content-type": "multipart/form-data; boundary=b"}
    before = strict(client.get("/v1/detectors/gravel"))
    response = client.post(f"/v1/detectors/gravel/{verb}", content=content, headers=headers)
    problem(response, status, name)
    assert strict(client.get("/v1/detectors/gravel")) == before


def test_a_form_without_boundary_is_400(client: TestClient) -> None:
    """Contract: it cannot be read, and that is not our failure."""
    response = send(client, "gravel", b"x", "multipart/form-data")
    problem(response, 400, "malformed-upload")


def test_raw_and_form_give_one_score(
    client: TestClient, picture: Image.Image, tmp_path: Path, reference: float
) -> None:
    """Law: how a picture travels does not change its score, and its name comes back."""
    path = tmp_path / "Größe 😀.png"
    path.write_bytes(encode(picture))
    files = [("images", (path.name, path.read_bytes(), "image/png"))]
    (sent,) = strict(client.post("/v1/detectors/gravel/score", files=files))["results"]
    assert sent["name"] == path.name
    assert sent["score"] == pytest.approx(reference, rel=1e-6)


def test_a_batch_scores_as_each_alone(client: TestClient, photographs: list[Pixels]) -> None:
    """Law: company changes nothing but rounding, in order; contributions sum to the score."""
    contents = [encode(pixels) for pixels in photographs] * 3
    response = upload(client, "gravel", "score", contents)
    results = strict(response)["results"]
    assert [item["index"] for item in results] == list(range(len(contents)))
    for item, content in zip(results, contents, strict=True):
        alone = result(client, "gravel", content)
        assert item["score"] == pytest.approx(alone["score"], rel=1e-4)
        assert item["verdict"] == alone["verdict"] == "anomalous"
        assert sum(item["contributions"].values()) == pytest.approx(item["score"])
        assert item["margin"] == pytest.approx(item["score"] - item["threshold"])
