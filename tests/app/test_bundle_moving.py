"""A detector that moves: it says the same there, goes on learning there, or does not arrive."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_helpers import encode, info, problem, strict
from moving_helpers import NAME, Site, forged, manifest_of, members, picture, signed, site, zipped
from PIL import Image

from app.moving.bundle import MANIFEST
from app.storage.blobs import Blobs
from app.storage.directories import DirectoryBlobs
from detector.artefact import fit_bytes
from detector.row_file import read_rows, rows_bytes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Where a detector was fitted twice and calibrated."""
    with site(tmp_path_factory.mktemp("home")) as there:
        there.learn()
        yield there


@pytest.fixture(scope="module")
def bundle(home: Site) -> bytes:
    """What it is exported as, with rows."""
    return home.export(rows=True)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Site]:
    """Another service, empty."""
    with site(tmp_path) as there:
        yield there


def _images(where: Site, name: str = NAME) -> list[dict[str, Any]]:
    number = info(where.client, name)["version"]
    url = f"/v1/detectors/{name}/versions/{number}/images"
    return list(strict(where.client.get(url))["images"])


def test_it_says_the_same_there(home: Site, away: Site, bundle: bytes) -> None:
    """Law: scores, verdicts, p-values and thresholds to the last bit."""
    answer = away.bring(bundle)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/detectors/{NAME}"
    assert away.scores() == home.scores()
    assert len({result["verdict"] for result in away.scores()}) > 1


def test_it_is_the_same_there(home: Site, away: Site, bundle: bytes) -> None:
    """Contract: all but number and times; version 1 tells where it came from."""
    said = away.bring(bundle).json()
    assert said["rows_kept"] is True
    assert 0 <= said["worst_difference"] < 1e-6
    varying = {"version", "in_service", "tip", "created_at", "updated_at", "threshold"}
    here, there = info(home.client, NAME), info(away.client, NAME)
    assert {key: there[key] for key in there.keys() - varying} == {
        key: here[key] for key in here.keys() - varying
    }
    assert (there["version"], there["in_service"], there["tip"]) == (1, 1, 1)
    assert there["threshold"] == here["threshold"] | {"version": 1}
    (only,) = strict(away.client.get(f"/v1/detectors/{NAME}/versions"))["versions"]
    assert (only["change"], only["parent"]) == ("import", None)
    told = only["parameters"]["from"]
    assert (told["name"], told["version"]) == (NAME, 4)
    assert [each["change"] for each in told["lineage"]] == [
        "create",
        "replace",
        "extend",
        "calibrate",
    ]
    assert _images(away) == _images(home)


def test_what_moved_can_move_again(away: Site, tmp_path: Path, bundle: bytes) -> None:
    """Law: the second bundle holds the moments, the decision and the rows of the first."""
    assert away.bring(bundle).status_code == 201
    again = members(away.export(rows=True))
    first = members(bundle)
    assert again.keys() == first.keys()
    differing = {name for name in first if first[name] != again[name]}
    assert differing <= {MANIFEST}


def test_it_forgets_there_as_here(away: Site, tmp_path: Path, bundle: bytes) -> None:
    """Law: rows that came along take their images out of the moments, exactly."""
    assert away.bring(bundle).status_code == 201
    with site(tmp_path / "home") as home:
        home.learn()
        for where in (home, away):
            forgotten = where.client.post(
                f"/v1/detectors/{NAME}/forget", json={"groups": ["monday"]}
            )
            job = where.ended(forgotten)
            assert (job["state"], job["result"]["forgotten"]) == ("succeeded", 20)
        tip = {where: info(where.client, NAME)["tip"] for where in (home, away)}
        theirs = home.scores(version=tip[home], allow_stale=True)
        assert away.scores(version=tip[away], allow_stale=True) == theirs
        # And what was forgotten does not leave the house again.
        left = home.export(version=tip[home], rows=True)
        kept = members(left)
        assert "monday" not in kept["images.json"].decode()
        rows = [read_rows(kept[name])[0] for name in kept if name.startswith("rows/")]
        assert sum(len(each) for each in rows if each is not None) == 20 + 39 + 3


def test_it_is_calibrated_again_there_from_its_rows(home: Site, away: Site, bundle: bytes) -> None:
    """Law: rows of the calibration came along, and those of known anomalies."""
    assert away.bring(bundle).status_code == 201
    answer = away.client.post(f"/v1/detectors/{NAME}/recalibrate", params={"method": "f1"})
    job = away.ended(answer)
    assert job["state"] == "succeeded", job
    assert job["result"]["detector"]["known_anomalies"] == 3
    assert info(away.client, NAME)["calibration_images"] == 39
    expected = home.service.catalogue.get(NAME).detector.decide("f1", {}).require_threshold()
    assert job["result"]["threshold"]["value"] == expected.value


def test_without_rows_it_scores_and_tells_its_images(home: Site, away: Site) -> None:
    """Contract: it can judge and be calibrated with images, but forgets nothing alone."""
    plain = home.export()
    assert not [name for name in members(plain) if name.startswith("rows/")]
    said = away.bring(plain).json()
    assert said["rows_kept"] is False
    assert away.scores() == home.scores()
    expected = [image | {"forgettable": False} for image in _images(home)]
    assert _images(away) == expected
    job = away.ended(away.client.post(f"/v1/detectors/{NAME}/forget", json={"groups": ["monday"]}))
    assert job["problem"]["type"].endswith("rows-not-kept")


def test_a_service_that_keeps_no_rows_keeps_none_that_come(tmp_path: Path, bundle: bytes) -> None:
    """Contract: the setting counts for what arrives, too."""
    with site(tmp_path, keep_fitted_rows=False) as strictly:
        assert strictly.bring(bundle).json()["rows_kept"] is False
        assert len(strictly.held()[1]) == 2
        problem(
            strictly.client.get(f"/v1/detectors/{NAME}/export", params={"rows": True}),
            409,
            "rows-not-kept",
        )


@pytest.mark.parametrize("spec", [{"options": {"flips": True}}, {"options": {"evidence": 0}}])
def test_other_ways_of_looking_move_too(tmp_path: Path, spec: dict[str, Any]) -> None:
    """Law: mirrored rows, and detectors without evidence, whose golden images are drawn."""
    with site(tmp_path / "home") as home, site(tmp_path / "away") as away:
        home.learn(**spec)
        whole = home.export(rows=True)
        assert away.bring(whole).status_code == 201
        assert away.scores() == home.scores()
        pictures = [name for name in members(whole) if name.startswith("golden/")]
        assert len(pictures) == (4 if spec == {"options": {"evidence": 0}} else 12)


def test_a_version_can_be_chosen(home: Site, away: Site) -> None:
    """Contract: the file is called by it; what is not calibrated arrives uncalibrated."""
    answer = home.client.get(f"/v1/detectors/{NAME}/export", params={"version": 2})
    told = 'attachment; filename="bolts-v2.gatewatch"'
    assert answer.headers["content-disposition"] == told
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert away.bring(answer.content).status_code == 201
    assert info(away.client, NAME)["state"] == "fitted"
    assert info(away.client, NAME)["fitted_images"] == 20
    problem(
        home.client.get(f"/v1/detectors/{NAME}/export", params={"version": 9}),
        404,
        "unknown-version",
    )


def test_what_is_not_fitted_does_not_move(away: Site) -> None:
    """Contract: there would be nothing to compare."""
    away.client.post("/v1/detectors", json={"name": "new", "image_size": 64})
    said = problem(away.client.get("/v1/detectors/new/export"), 409, "not-fitted")
    assert "fit it first" in said["detail"]
    problem(away.client.get("/v1/detectors/none/export"), 404, "unknown-detector")


def test_a_name_is_given_once(away: Site, bundle: bytes) -> None:
    """Contract: another may be chosen; the detector carries it."""
    assert away.bring(bundle).status_code == 201
    before = away.held()
    said = problem(away.bring(bundle), 409, "detector-exists")
    assert "another name" in said["detail"]
    assert away.held() == before
    assert away.bring(bundle, name="twin").status_code == 201
    assert away.scores("twin") == away.scores()
    assert manifest_of(away.export("twin"))["spec"]["name"] == "twin"


def test_changes_are_in_the_audit(home: Site, away: Site, bundle: bytes) -> None:
    """Contract: who gave it away, who took it in, why."""
    home.export(reason="to line 2", rows=False)
    away.bring(bundle, reason="from line 1")
    (export,) = [
        line
        for line in home.service.storage.audit.lines(subject=NAME)
        if line.reason == "to line 2"
    ]
    assert (export.action, export.after) == ("detector.export", {"version": 4, "rows": False})
    (arrived,) = away.service.storage.audit.lines(subject=NAME)
    assert (arrived.action, arrived.reason) == ("detector.import", "from line 1")
    assert arrived.after["fitted_images"] == 40


def test_nothing_is_written_of_what_is_damaged(away: Site, bundle: bytes) -> None:
    """Contract: whatever is wrong, a named problem and nothing left."""
    before = away.held()
    flipped = bytearray(bundle)
    flipped[len(bundle) // 2] ^= 1
    contents = members(bundle)
    for sent in (
        b"",
        b"not a zip",
        bundle[:-1],
        bundle[: len(bundle) // 2],
        bytes(flipped),
        zipped(dict(reversed(contents.items()))),
        zipped(contents | {MANIFEST: signed({"format": 99})}),
    ):
        problem(away.bring(sent), 422, "invalid-bundle")
    assert away.held() == before == ([], [], [])


def _with_rows(bundle: bytes, name: str, change: Any) -> bytes:
    rows, about = read_rows(members(bundle)[name])
    return forged(bundle, {name: rows_bytes(*change(rows, about))})


def test_nothing_is_written_of_what_contradicts_itself(
    home: Site, away: Site, bundle: bytes
) -> None:
    """Contract: with digests that fit, too."""
    contents = members(bundle)
    chunk = "rows/000000.safetensors"
    other = home.service.catalogue.get(NAME).detector
    narrow = {name: part[:, :-1] for name, part in read_rows(contents[chunk])[0].blocks.items()}  # type: ignore[union-attr]
    images = contents["images.json"]
    last = contents["rows/000002.safetensors"]
    wrong = [
        forged(bundle, {"fit.safetensors": contents["decision.safetensors"]}),
        forged(bundle, {"fit.safetensors": b"\x80\x04pickled"}),
        forged(bundle, {"fit.safetensors": fit_bytes(other.having(statistics={}))}),
        forged(bundle, {"decision.safetensors": contents["fit.safetensors"]}),
        forged(bundle, {}, name="nails"),
        forged(bundle, {}, spec={}),
        forged(bundle, {"images.json": images.replace(b'"row":1}', b'"row":7}', 1)}),
        forged(bundle, {"images.json": images.replace(b'"row":0}', b'"row":1}', 1)}),
        forged(bundle, {chunk: last}),
        forged(bundle, {"images.json": images.replace(b'"fit"', b'"anomaly"', 1)}),
        _with_rows(bundle, chunk, lambda rows, about: (rows, {"views": 4})),
        _with_rows(bundle, chunk, lambda rows, about: (rows.take(range(7)), about)),
        _with_rows(bundle, chunk, lambda rows, about: (None, about)),
        _with_rows(bundle, chunk, lambda rows, about: (type(rows)(narrow), about)),
    ]
    for sent in wrong:
        assert sent != forged(bundle, {})
        problem(away.bring(sent), 422, "invalid-bundle")
    assert away.held() == ([], [], [])


def test_another_backbone_is_refused(away: Site, bundle: bytes) -> None:
    """Contract: before anything is scored; the words say what to set."""
    away.service.embedder.fingerprint = "6" * 64
    said = problem(away.bring(bundle), 409, "fingerprint-mismatch")
    assert "GATEWATCH_BACKBONE" in said["detail"]
    assert away.held() == ([], [], [])


@pytest.mark.parametrize(("factor", "status"), [(1 + 1e-7, 201), (1.01, 409)])
def test_scores_must_be_those_that_were_told(
    away: Site, bundle: bytes, monkeypatch: pytest.MonkeyPatch, factor: float, status: int
) -> None:
    """Contract: a backbone that sees a little more of everything is found out, and told how far."""
    seen = away.service.embedder.embed

    def embed(images: Any) -> Any:
        embedding = seen(images)
        for table in (embedding.mean, embedding.std, embedding.maximum, embedding.regional):
            for block in table:
                table[block] = (table[block] * factor).astype(np.float32)
        return embedding

    monkeypatch.setattr(away.service.embedder, "embed", embed)
    answer = away.bring(bundle)
    assert answer.status_code == status
    if status == 409:
        said = problem(answer, 409, "parity")
        assert "relative difference of" in said["detail"]
        assert away.held() == ([], [], [])


def test_a_bundle_cannot_allow_itself_more(away: Site, bundle: bytes) -> None:
    """Contract: the tolerance told counts where it is smaller than ours, not where larger."""
    golden = members(bundle)["golden.json"]
    for tolerance, score_text in ((b"0.9", b'"score":'), (b"1e-12", b'"score":')):
        changed = golden.replace(b'"tolerance":0.001', b'"tolerance":' + tolerance)
        assert changed != golden
        nudged = changed.replace(score_text, score_text + b"1", 1)  # one digit before the first
        problem(away.bring(forged(bundle, {"golden.json": nudged})), 409, "parity")


def test_golden_images_that_cannot_be_scored_are_refused(away: Site, bundle: bytes) -> None:
    """Contract: no image, or one that this service does not take."""
    for content in (b"no image", encode(np.zeros((8, 8, 3), np.uint8))):
        said = problem(away.bring(forged(bundle, {"golden/03.png": content})), 409, "parity")
        assert "golden image 3" in said["detail"]
    assert away.held() == ([], [], [])


def test_golden_pictures_are_thumbnails_and_drawings(bundle: bytes) -> None:
    """Contract: whole PNG files, with how they were made, and a score each."""
    contents = members(bundle)
    pictures = {name: contents[name] for name in contents if name.startswith("golden/")}
    sizes = []
    for content in pictures.values():
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            sizes.append(image.size)
    assert sizes == [(320, 240)] * 4 + [(32, 32)] * 8


def test_small_thumbnails_stay_out_where_small_images_are_refused(tmp_path: Path) -> None:
    """Contract: golden images are such that the service itself takes them."""
    with site(tmp_path, min_image_side=64) as there:
        there.learn()
        pictures = [name for name in members(there.export()) if name.startswith("golden/")]
    assert len(pictures) == 4


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", ""])
def test_other_media_types_are_refused(away: Site, bundle: bytes, kind: str) -> None:
    """Contract: a bundle is sent as it is."""
    problem(away.bring(bundle, media_type=kind), 415, "unsupported-media-type")


@pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 64, "a\n"])
def test_names_are_names(away: Site, bundle: bytes, name: str) -> None:
    """Contract: refused before the body is read."""
    problem(away.bring(bundle, name=name), 422, "invalid-request")


def test_a_body_over_the_limit_is_refused(tmp_path: Path, bundle: bytes) -> None:
    """Contract: an upload may be larger than an ordinary body, up to its own limit."""
    with site(tmp_path, max_body_bytes=1000, max_upload_bytes=len(bundle)) as there:
        assert there.bring(bundle).status_code == 201
        problem(there.bring(bundle + b"0", name="twin"), 413, "about:blank")
        assert there.held()[0] == [NAME]


class _Failing(DirectoryBlobs):
    """Blobs that fail at the put of a number."""

    left = 0

    def put(self, name: str, content: bytes) -> None:
        type(self).left -= 1
        if type(self).left < 0:
            raise RuntimeError("the disk burns")
        super().put(name, content)


@pytest.mark.parametrize("puts", range(6))
def test_a_failure_at_any_moment_leaves_nothing(
    tmp_path: Path, bundle: bytes, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    """Law: at every file that is written, and before the row is."""
    monkeypatch.setattr("app.storage.locations.DirectoryBlobs", _Failing)
    monkeypatch.setattr(_Failing, "left", puts)
    if puts == 5:  # all files are there: three of rows, fit and decision
        monkeypatch.setattr("app.storage.moved.insert_version", lambda *_: 1 / 0)
    with site(tmp_path) as there:
        blobs: Blobs = there.service.storage.blobs
        assert isinstance(blobs, _Failing)
        problem(there.bring(bundle), 500, "about:blank")
        assert there.held() == ([], [], [])
        monkeypatch.undo()
        _Failing.left = 100
        assert there.bring(bundle).status_code == 201


def test_it_moves_to_a_database_and_a_bucket(
    tmp_path: Path, home: Site, bundle: bytes, postgres_url: str, bucket_location: str
) -> None:
    """Law: what holds for a directory holds there, and back again."""
    with site(tmp_path, database=postgres_url, bucket=bucket_location) as shared:
        assert shared.bring(bundle).status_code == 201
        assert shared.scores() == home.scores()
        problem(shared.bring(bundle), 409, "detector-exists")
        assert len(shared.held()[1]) == 5
        first, again = members(bundle), members(shared.export(rows=True))
        assert {name for name in first if first[name] != again[name]} <= {MANIFEST}


def test_pictures_differ() -> None:
    """Law: the pictures that the tests score are not all the same."""
    assert picture(900) != picture(901)
