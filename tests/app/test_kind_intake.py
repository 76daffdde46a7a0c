"""Samples of every kind over HTTP: however they come they are the same, and each kind's own."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from history_helpers import picture
from http_helpers import create, followed, make_app, problem, strict
from intake_kinds import KINDS, TINY, captioned, card, decode, reel
from starlette.testclient import TestClient
from stub_backbone import StubBackbone
from upload_helpers import FORM, form, part, tarred, zipped

from app.intake.folders import from_allowed_folder, open_images
from app.intake.grouping import Grouping
from app.intake.limits import Limits
from detector import imaging, kinds
from detector.embedder import Embedder
from detector.errors import UndecodableImageError

PLAIN = [picture(seed) for seed in range(12)]
OCTETS, JSON, NDJSON = "application/octet-stream", "application/json", "application/x-ndjson"
ZIP, TAR = "application/zip", "application/x-tar"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the server that may be imported."""
    return tmp_path_factory.mktemp("imported")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[TestClient]:
    """A service with a fitted detector of each tiny kind, and of images."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in TINY:
            patch.setitem(kinds.KINDS, kind.name, kind)
        patch.setattr(imaging, "decode", decode(imaging.decode))
        app = make_app(
            tmp_path_factory.mktemp("data"), cast(Embedder, StubBackbone()), import_roots=[folder]
        )
        with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
            for name, made in {**KINDS, "image": bytes}.items():
                create(client, name, kind=name)
                files = [("samples", (f"{at}", made(each))) for at, each in enumerate(PLAIN)]
                answer = followed(client, client.post(f"/v1/detectors/{name}/fit", files=files))
                assert answer.status_code == 200, answer.text
            yield client


def sent(client: TestClient, name: str, body: bytes, kind: str, verb: str = "score") -> Any:
    """Send a body; return the response, or how its job has ended."""
    headers = {"content-type": kind}
    url = f"/v1/detectors/{name}/{verb}"
    return followed(client, client.post(url, content=body, headers=headers))


def scores(answer: Any) -> list[Any]:
    """Return name and score of every result; the score is None of what failed."""
    assert answer.status_code == 200, answer.text
    return [(each["name"], each["score"]) for each in strict(answer)["results"]]


def line(data: Any, **more: str) -> bytes:
    """Return one line."""
    return json.dumps({"name": "a", "data": data} | more).encode() + b"\n"


def test_a_json_sample_is_the_same_however_it_comes(client: TestClient) -> None:
    """Law: alone, in a batch, on a line, as a file, in base64; only the body alone has no name."""
    sample = card(PLAIN[0])
    value = json.loads(sample)
    coded = base64.b64encode(sample).decode()
    ((_, score),) = scores(sent(client, "card", sample, JSON))
    assert score is not None
    for media in (OCTETS, "text/plain", "audio/wav", "VIDEO/mp4", "image/png"):
        assert scores(sent(client, "card", sample, media)) == [("", score)]
    for field in ("images", "samples"):
        for data in (value, coded):
            document = json.dumps({field: [{"name": "a", "data": data}]}).encode()
            assert scores(sent(client, "card", document, JSON)) == [("a", score)]
        body = form(part(sample, field=field, file="a"))
        assert scores(sent(client, "card", body, FORM)) == [("a", score)]
    lines = line(value) + b"\n" + line(coded)
    assert scores(sent(client, "card", lines, NDJSON)) == [("a", score)] * 2
    assert scores(sent(client, "card", zipped([("a", sample)]), ZIP)) == [("a", score)]


def test_what_is_wrong_with_one_json_sample_is_wrong_with_the_request(client: TestClient) -> None:
    """Contract: as with a raw image; in a batch it fails alone; both names at once are refused."""
    for body in (b"{}", b"[]", b"[1", b"", b'{"image": "#"}', b'"images"', b'["samples"]'):
        problem(sent(client, "card", body, JSON), 422, "undecodable-image")
    good = {"data": json.loads(card(PLAIN[0]))}
    document = json.dumps({"samples": [{"data": {}}, good, {"data": "#"}, {"data": [[]]}]}).encode()
    found = [score is not None for _, score in scores(sent(client, "card", document, JSON))]
    assert found == [False, True, False, False]
    both = json.dumps({"samples": [good], "images": [good]}).encode()
    problem(sent(client, "card", both, JSON), 422, "invalid-request")
    problem(sent(client, "card", b'{"samples": []}', JSON), 422, "invalid-request")
    problem(sent(client, "card", b'{"data": {}}\n{"other": 1}', NDJSON), 422, "invalid-request")


def test_other_kinds_take_no_json_values(client: TestClient) -> None:
    """Contract: neither as the body nor in it; nor may one ask in vain for a detector."""
    value = json.loads(card(PLAIN[0]))
    for body in (card(PLAIN[0]), json.dumps({"samples": [{"data": value}]}).encode()):
        problem(sent(client, "image", body, JSON), 422, "invalid-request")
        problem(sent(client, "nobody", body, JSON), 404, "unknown-detector")
    problem(sent(client, "image", line(value), NDJSON), 422, "invalid-request")
    problem(sent(client, "image", card(PLAIN[0]), JSON, "fit"), 415, "unsupported-media-type")
    problem(sent(client, "image", line(value), NDJSON, "fit"), 422, "invalid-request")
    coded = json.dumps({"samples": [{"data": base64.b64encode(PLAIN[0]).decode()}]}).encode()
    assert scores(sent(client, "image", coded, JSON))[0][1] is not None


def test_many_detectors_of_one_kind_read_a_body_alike(client: TestClient) -> None:
    """Contract: of several kinds only what needs none to be known; without any nothing is read."""
    headers = {"content-type": JSON}

    def many(names: str, body: bytes, media: str = JSON) -> Any:
        url = f"/v1/score?detectors={names}"
        return client.post(url, content=body, headers=headers | {"content-type": media})

    sample = card(PLAIN[0])
    (one,) = strict(many("card", sample))["detectors"]
    assert one["results"][0]["score"] is not None
    assert len(strict(many("card,nobody", sample))["detectors"]) == 2
    assert "card, image" in problem(many("card,image", sample), 409, "wrong-kind")["detail"]
    problem(many("card,image", zipped([("a", sample)]), ZIP), 409, "wrong-kind")
    both = strict(many("card,image", PLAIN[0], "image/png"))["detectors"]
    assert [each["results"][0]["score"] is not None for each in both] == [True, True]
    batch = json.dumps({"samples": [{"data": json.loads(sample)}]}).encode()
    (none,) = strict(many("nobody", batch))["detectors"]
    assert none["problem"]["status"] == 404
    problem(many("%00,nobody", batch), 422, "invalid-request")


def test_zip_files_are_samples_of_kinds_that_say_so(client: TestClient) -> None:
    """Contract: as they are and in an archive, to be scored and fitted; no other archive is."""
    sample = reel(PLAIN[0])
    ((_, score),) = scores(sent(client, "reel", sample, OCTETS))
    assert score is not None
    files = [("a.zip", sample), ("b.bin", reel(PLAIN[1]))]
    assert scores(sent(client, "reel", zipped(files), ZIP))[0] == ("a.zip", score)
    for body, media in ((zipped(files), ZIP), (tarred(files), TAR), (sample, OCTETS)):
        assert sent(client, "reel", body, media, "fit?mode=extend").status_code == 200
        problem(sent(client, "image", body, media, "fit"), 422, "refused-member")
    problem(sent(client, "image", zipped(files), ZIP), 422, "refused-member")
    packed = zipped([("a.gz", gzip.compress(sample)), ("b.zip", sample)])
    found = problem(sent(client, "reel", packed, ZIP), 422, "refused-member")
    assert "gzip file, not one reel" in found["detail"]


def test_pairs_are_the_same_however_they_come(client: TestClient) -> None:
    """Law: as texts of a form, by name in a form and an archive in any order, and as JSON."""
    pairs = [("x/a.png", PLAIN[0], "one"), ("x/b.jpg", PLAIN[1], "two \N{SNOWMAN}")]
    whole = [("x/a.png", captioned(PLAIN[0], "one")), ("x/b.jpg", captioned(PLAIN[1], pairs[1][2]))]
    expected = scores(sent(client, "caption", zipped(whole), ZIP))
    assert None not in [score for _, score in expected]
    said = [
        (f"x/{stem}.TXT", text.encode()) for stem, (_, _, text) in zip("ab", pairs, strict=True)
    ]
    files = [(name, content) for name, content, _ in pairs]
    texts = [part(text.encode(), field="texts", file=None) for _, _, text in pairs]
    bodies = {
        "texts first": (form(*texts, *(part(c, file=n) for n, c in files)), FORM),
        "names": (form(*(part(c, file=n) for n, c in [*said, *files])), FORM),
        "zip": (zipped([*files, *said]), ZIP),
    }
    for body, media in bodies.values():
        assert scores(sent(client, "caption", body, media)) == expected
    jobs = [*bodies.values(), (zipped(whole), ZIP), (tarred([*said, *files]), TAR)]
    digests = set()
    for at, (body, media) in enumerate(jobs):
        headers = {"content-type": media, "idempotency-key": "pairs"}
        url = "/v1/detectors/caption/fit?mode=extend"
        answer = client.post(url, content=body, headers=headers)
        assert answer.status_code == 202, (at, answer.text)  # the same request under this key
        digests.add(strict(answer)["id"])
        assert strict(answer)["images"] == 2
    assert len(digests) == 1
    other = bodies["texts first"][0].replace(b"one", b"eno")
    again = client.post(url, content=other, headers=headers | {"content-type": FORM})
    problem(again, 422, "idempotency-conflict")


def test_a_pair_that_is_not_whole_fails_alone(client: TestClient) -> None:
    """Contract: in an archive under its name; where no name tells, the form is refused."""
    whole = [("a.png", PLAIN[0]), ("a.txt", b"\xef\xbb\xbfone")]
    halves = [("b.png", b"file"), ("c.txt", b"two"), ("d.png", b"file"), ("d.jpg", b"file")]
    halves += [("d.txt", b"whose"), ("e/a.png", b"file")]
    found = scores(sent(client, "caption", zipped([*halves, *whole]), ZIP))
    assert [name for name, score in found if score is not None] == ["a.png"]
    assert [name for name, score in found if score is None] == [name for name, _ in halves]
    text = part(b"one", field="texts", file=None)
    for verb in ("score", "fit"):
        for parts in ([part(PLAIN[0]), text, text], [part(PLAIN[0]), part(PLAIN[1]), text]):
            body = form(*parts)
            assert (
                "text(s)"
                in problem(sent(client, "caption", body, FORM, verb), 400, "malformed-upload")[
                    "detail"
                ]
            )
        for name in ("image", "card"):
            body = form(part(PLAIN[0]), text)
            problem(sent(client, name, body, FORM, verb), 400, "malformed-upload")
    latin = zipped([("a.png", PLAIN[0]), ("a.txt", b"\xff")])
    assert "UTF-8" in problem(sent(client, "caption", latin, ZIP), 422, "refused-member")["detail"]


def test_lines_are_a_job(client: TestClient) -> None:
    """Contract: a sample a line, in base64 or as it is, with its group; wrong ones are told."""
    samples = [json.loads(card(each)) for each in PLAIN[:3]]
    coded = base64.b64encode(card(PLAIN[3])).decode()
    body = b"\n".join([*(line(each, group="x") for each in samples), line(coded)])
    ended = sent(client, "card", body, NDJSON, "fit?mode=extend&group=rest")
    assert ended.status_code == 200, ended.text
    assert ended.job["images"] == 4
    images = line(base64.b64encode(PLAIN[4]).decode())
    assert sent(client, "image", images, NDJSON, "fit?mode=extend").job["images"] == 1
    for wrong, where in (
        (b"[]\n", "line 2"),
        (b'{"data": {}, "more": 1}\n', "line 2.more"),
        (b'{"data": 1}', "line 2.data"),
        (b"{" * 9, "line 2"),
    ):
        found = problem(
            sent(client, "card", line({}) + wrong, NDJSON, "fit"), 422, "invalid-request"
        )
        assert where in found["detail"]
    problem(sent(client, "card", line("#"), NDJSON, "fit"), 400, "malformed-upload")
    problem(sent(client, "card", line({}, group="\0"), NDJSON, "fit"), 422, "invalid-group")
    problem(sent(client, "card", b"\n\n", NDJSON, "fit"), 422, "no-images")
    one = sent(client, "card", card(PLAIN[5]), JSON, "fit?mode=extend")
    assert one.job["images"] == 1
    batch = json.dumps({"samples": [{"data": samples[0]}]}).encode()
    found = problem(sent(client, "card", batch, JSON, "fit"), 415, "unsupported-media-type")
    assert NDJSON in found["detail"]


def test_folders_are_read_by_the_suffixes_of_the_kind(client: TestClient, folder: Path) -> None:
    """Contract: those alone; a text with its file is one sample, and changed it is told."""
    for name, content in {
        "a.card": card(PLAIN[6]),
        "b.card": card(PLAIN[7]),
        "a.png": PLAIN[6],
        "a.txt": b"one",
        "b.txt": b"nothing of mine",
        "c.png": PLAIN[7],
    }.items():
        (folder / name).write_bytes(content)
    for name, count in (("card", 2), ("image", 2), ("caption", 2)):
        url = f"/v1/detectors/{name}/fit?mode=extend"
        ended = followed(client, client.post(url, params={"folder": str(folder)}))
        assert ended.job["images"] == count, ended.job
    url = "/v1/detectors/reel/fit"
    found = problem(client.post(url, params={"folder": str(folder)}), 422, "no-images")
    assert "no reel in" in found["detail"]
    assert ".reel" in found["detail"]


def test_a_listed_pair_is_file_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: both count, in bytes and in the digest; either changed is one sample's error."""
    kind = TINY[-1]
    monkeypatch.setitem(kinds.KINDS, kind.name, kind)
    limits = Limits(images=2, total_bytes=50, image_bytes=30, ratio=9, body_bytes=9)
    (tmp_path / "in").mkdir()
    texts = {stem: tmp_path / "in" / f"{stem}.txt" for stem in "ab"}
    for stem, text in texts.items():
        (tmp_path / "in" / f"{stem}.png").write_bytes(stem.encode() * 20)
        text.write_text("one")

    def listed(name: str) -> Any:
        made = (tmp_path / "in", [tmp_path], limits, tmp_path / name, Grouping(), kind)
        return from_allowed_folder(*made)

    first = listed("first")
    assert (first.images, first.bytes) == (2, 46)
    assert listed("same").digest == first.digest
    texts["a"].write_text("two")
    assert listed("other").digest != first.digest
    with open_images(first.path, [tmp_path]) as images:
        assert images.read(1) == captioned(b"b" * 20, "one")
        with pytest.raises(UndecodableImageError, match="changed"):
            images.read(0)
