"""Images to be scored as a zip file, as JSON and as lines of JSON."""

import base64
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_helpers import Pixels, calibrated, create, encode, problem, running, strict, upload
from starlette.testclient import TestClient
from upload_helpers import ZIP, zipped

from app.images import documents, masks, tensors
from app.intake import requests
from detector.embedder import Embedder

JSON, NDJSON = "application/json", "application/x-ndjson"
KINDS = (ZIP, JSON, NDJSON)
MOST = 5
MOST_BYTES = 60_000
BROKEN = ("no image.txt", b"these are words")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bodies")


@pytest.fixture(scope="module")
def client(data: Path, embedder: Embedder, pngs: list[bytes]) -> Iterator[TestClient]:
    limits = {"max_request_images": MOST, "max_image_bytes": MOST_BYTES}
    with running(data, embedder, **limits) as client:
        for name in ("gravel", "finer"):
            size = {"finer": 96}.get(name, 64)
            create(client, name, scorer="gaussian", image_size=size)
            for start, verb in ((0, "fit"), (40, "calibrate")):
                response = upload(client, name, verb, pngs[start : start + 40])
                assert response.status_code == 200, response.text
        yield client


@pytest.fixture(scope="module")
def named(pngs: list[bytes]) -> list[tuple[str, bytes]]:
    """Three good images and what is none, in folders and with names of any letters."""
    names = ("lot 1/a.png", "lot 1/b.png", "ä \N{SNOWMAN}.png")
    return [*zip(names[:2], pngs[:2], strict=True), BROKEN, (names[2], pngs[2])]


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def body(kind: str, files: list[tuple[str, bytes]], **more: Any) -> bytes:
    """Return files as a body of this kind."""
    if kind == ZIP:
        return zipped(files)
    images = [{"name": name, "data": text(content)} for name, content in files]
    if kind == JSON:
        return json.dumps({"images": images} | more).encode()
    return b"\n".join(json.dumps(image).encode() for image in images) + b"\n"


def post(client: TestClient, content: bytes, kind: str, verb: str = "score", **query: Any) -> Any:
    url = verb if verb.startswith("/") else f"/v1/detectors/gravel/{verb}"
    return client.post(url, content=content, headers={"content-type": kind}, params=query)


@pytest.mark.parametrize("kind", KINDS)
def test_images_score_as_in_a_form(
    client: TestClient, data: Path, named: list[tuple[str, bytes]], kind: str
) -> None:
    """Law: names, order, scores and the error of what is no image do not depend on what carried
    them; nothing stays on the disk."""
    form = [("images", (name, content, "image/png")) for name, content in named]
    expected = strict(client.post("/v1/detectors/gravel/score", files=form))["results"]
    results = strict(post(client, body(kind, named), kind))["results"]
    assert [item["name"] for item in results] == [name for name, _ in named]
    for item, known in zip(results, expected, strict=True):
        if known["score"] is not None:
            assert item["score"] == pytest.approx(known["score"], rel=1e-5)
        assert item["verdict"] == known["verdict"]
    assert results[2]["problem"] == expected[2]["problem"]
    assert results[2]["problem"]["type"].endswith("undecodable-image")
    assert not list((data / "incoming").iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_by_many_detectors_and_as_a_batch(
    client: TestClient, named: list[tuple[str, bytes]], kind: str
) -> None:
    """Contract: the other routes of images take them too; two looks read each image twice."""
    files = [item for item in named if item != BROKEN][:2]
    answer = post(client, body(kind, files), kind, "/v1/score", detectors="gravel,finer")
    for scored in strict(answer)["detectors"]:
        assert [item["verdict"] for item in scored["results"]] == ["normal"] * 2
    assert strict(post(client, body(kind, files), kind, "divergence"))["images"] == 2
    one = post(client, body(kind, files[:1]), kind, "explain")
    assert one.status_code == 200, one.text
    problem(post(client, body(kind, files), kind, "explain"), 413, "too-many-images")


@pytest.mark.parametrize("kind", [JSON, NDJSON])
@pytest.mark.parametrize("encoded", ["?", "abc", "a\nbc=", "ü", "YWJj YWJj"])
def test_what_is_no_base64_fails_alone(
    client: TestClient, pngs: list[bytes], kind: str, encoded: str
) -> None:
    """Contract: an error in its place, in words; also if it is the only one."""
    good = {"data": text(pngs[0])}
    images: list[Any] = [good, {"name": "bad", "data": encoded}, good]
    for sent in (images, images[1:2]):
        lines = "\n".join(map(json.dumps, sent))
        content = json.dumps({"images": sent}) if kind == JSON else lines
        results = strict(post(client, content.encode(), kind))["results"]
        (error,) = [item for item in results if item["problem"]]
        assert error["name"] == "bad"
        assert error["problem"]["detail"].startswith("its data is no base64: ")
        assert len(results) == len(sent)


MALFORMED: dict[str, tuple[str, bytes, str]] = {
    "no JSON": (JSON, b'{"images": [\n{"data": "YQ=="}', "line 2"),
    "no object": (JSON, b"[]", "body: "),
    "no images": (JSON, b'{"images": []}', "body.images: "),
    "another field": (JSON, b'{"images": [{"data": "", "url": "http://a"}]}', "images.0.url"),
    "no text": (JSON, b'{"images": [{"data": 5}]}', "body.images.0.data"),
    "long name": (
        JSON,
        json.dumps({"images": [{"data": "", "name": "x" * 1001}]}).encode(),
        "name",
    ),
    "half a pair": (JSON, b'{"images": [{"data": "", "name": "\\ud800"}]}', "hex escape"),
    "deep": (JSON, b'{"images": ' + b"[" * 100_000, "recursion"),
    "line": (NDJSON, b'{"data": "YQ=="}\n{"data": \n', "body.line 2"),
    "line after blank ones": (NDJSON, b'\n{"data": "YQ=="}\n \r\n{"data": \n', "body.line 4"),
    "array": (NDJSON, b'[{"data": "YQ=="}]', "body.line 1"),
    "no UTF-8": (NDJSON, b'\n{"data": "\xff"}', "body.line 2"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_documents_are_422_and_say_where(client: TestClient, case: str) -> None:
    """Contract: naming the line or the field."""
    kind, content, where = MALFORMED[case]
    assert where in problem(post(client, content, kind), 422, "invalid-request")["detail"]


def test_many_mistakes_are_told_shortly(client: TestClient) -> None:
    """Contract: the answer is not as long as a request of nothing but mistakes."""
    content = json.dumps({"images": [5] * 10_000}).encode()
    assert len(problem(post(client, content, JSON), 422, "invalid-request")["errors"]) == 10


@pytest.mark.parametrize(
    ("kind", "path"), [(JSON, "score"), (NDJSON, "score"), (JSON, "/v2/models/gravel/infer")]
)
def test_what_would_fill_the_memory_is_not_parsed(
    client: TestClient, kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: 413, by a count of commas; the longest names and masks are far below it."""
    monkeypatch.setattr(documents, "checked", None)
    monkeypatch.setattr(tensors, "checked", None)
    content = b'{"images": [' + b"[]," * 70_000 + b"[]]}"
    told = problem(post(client, content, kind, path), 413, "too-many-images")
    assert "max_request_images" in told["detail"]


def test_names_full_of_commas_are_parsed(client: TestClient) -> None:
    """Contract: as many images, with as long names, and a mask with as many corners as may be."""
    files = [("," * 1000, b"x")] * MOST
    corners = [[[at / 500, at / 500] for at in range(500)]] * 20
    content = body(JSON, files, mask={"polygons": corners})
    problem(post(client, content, JSON), 422, "mask-mismatch")


def test_nothing_is_no_images(client: TestClient) -> None:
    """Contract: 422, of an empty zip file and of lines without any."""
    for kind, content in ((ZIP, zipped([])), (NDJSON, b""), (NDJSON, b"\n \n")):
        problem(post(client, content, kind), 422, "no-images")


@pytest.mark.parametrize("kind", KINDS)
def test_limits_are_those_of_requests(client: TestClient, kind: str) -> None:
    """Contract: as many images and as large ones as may be, and not one or a byte more."""
    files = [(f"{i}.png", bytes([i])) for i in range(MOST)]
    assert len(strict(post(client, body(kind, files), kind))["results"]) == MOST
    told = problem(post(client, body(kind, [*files, ("x", b"")]), kind), 413, "too-many-images")
    assert "max_request_images" in told["detail"]
    noise = np.random.default_rng(0).bytes(MOST_BYTES + 1)
    assert post(client, body(kind, [("x", noise[:-1])]), kind).status_code == 200
    told = problem(post(client, body(kind, [("x", noise)]), kind), 413, "upload-too-large")
    assert "max_image_bytes" in told["detail"]


def test_a_zip_file_may_hold_what_a_job_s_may(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: the refusals are those of archives; the media type has two names."""
    nested = zipped([("a.zip", zipped([("a.png", pngs[0])]))])
    problem(post(client, nested, ZIP), 422, "refused-member")
    problem(post(client, zipped([("../a.png", pngs[0])]), ZIP), 422, "refused-member")
    bomb = zipped([(f"{i}.png", bytes(MOST_BYTES)) for i in range(MOST)])
    assert len(bomb) < 1000
    assert post(client, bomb, ZIP).status_code == 200  # a megabyte may unpack from anything
    problem(post(client, zipped([("a.png", pngs[0])])[:-30], ZIP), 400, "malformed-upload")
    whole = zipped([("a.png", pngs[0])], zipfile.ZIP_STORED)
    assert post(client, whole, "Application/X-Zip-Compressed").status_code == 200


def test_lines_may_be_blank(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: some writers end a document, or part it, with blank lines."""
    line = json.dumps({"name": "a", "data": text(pngs[0])}).encode()
    content = b"\n" + line + b"\r\n \r\n" + line + b"\n\n"
    results = strict(post(client, content, NDJSON))["results"]
    assert [item["problem"] for item in results] == [None, None]


def test_zip_files_are_unpacked_few_at_a_time(
    client: TestClient, pngs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: each holds a slot of the process meanwhile; there is one for each that decodes."""
    taken: list[str] = []

    @contextmanager
    def slot(most: int) -> Iterator[None]:
        assert most == client.app.state.service.settings.decode_threads  # type: ignore[attr-defined]
        taken.append("taken")
        yield
        taken.append("given back")

    assert requests.unpacking(3) is requests.unpacking(3)
    with requests.unpacking(2), requests.unpacking(2):
        assert not requests.unpacking(2).acquire(blocking=False)
    monkeypatch.setattr(requests, "unpacking", slot)
    assert post(client, zipped([("a.png", pngs[0])]), ZIP).status_code == 200
    assert taken == ["taken", "given back"]


def test_too_long_a_list_of_members_is_one_of_a_request(client: TestClient) -> None:
    """Contract: who scores is told of requests, not of jobs."""
    many = zipped([(f"{i}" + "x" * 900, b"") for i in range(100)])
    told = problem(post(client, many, ZIP), 413, "too-many-images")["detail"]
    assert "list of members" in told
    assert "max_request_images" in told
    assert "job" not in told


def test_all_of_them_have_the_limit_of_bodies(
    tmp_path: Path, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Contract: 413, and what a zip file unpacks to counts like a body."""
    with running(tmp_path, embedder, max_body_bytes=20_000) as client:
        assert client.post("/v1/detectors", json={"name": "gravel"}).status_code == 201
        for kind in KINDS:
            content = b" " * 20_001
            assert (
                "20000 bytes" in problem(post(client, content, kind), 413, "about:blank")["detail"]
            )
        flat = zipped([(f"{i}.bmp", bytes(8000)) for i in range(3)])
        told = problem(post(client, flat, ZIP), 413, "upload-too-large")
        assert "max_body_bytes" in told["detail"]


def test_a_mask_comes_with_the_document(
    tmp_path: Path, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Law: polygons and an image that say the same as a form's give its score; none is refused."""
    half: list[Any] = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
    drawn = masks.from_polygons(half)
    with running(tmp_path, embedder) as client:
        polygons = json.dumps(half)
        calibrated(client, "gravel", pngs[:40], masks=[polygons], mask="request", scorer="fusion")
        (form,) = strict(upload(client, "gravel", "score", pngs[:1], [polygons]))["results"]
        for mask in ({"polygons": half}, {"image": text(encode(drawn))}):
            content = body(JSON, [("a", pngs[0])], mask=mask)
            (found,) = strict(post(client, content, JSON))["results"]
            assert found["score"] == pytest.approx(form["score"], rel=1e-5)
        problem(post(client, body(JSON, [("a", pngs[0])]), JSON), 422, "mask-mismatch")
        bad = body(JSON, [("a", pngs[0])], mask={"image": text(b"no image")})
        problem(post(client, bad, JSON), 422, "invalid-mask")


def test_pixels_are_those_of_the_photograph(client: TestClient, texture: list[Pixels]) -> None:
    """Contract: a flag does not depend on what carried the image either."""
    odd = encode(255 - texture[0])
    for kind in KINDS:
        (found,) = strict(post(client, body(kind, [("odd.png", odd)]), kind))["results"]
        assert found["verdict"] == "anomalous"
