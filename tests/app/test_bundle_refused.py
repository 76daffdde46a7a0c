"""A detector that does not arrive: its file is damaged, untrue or unwelcome, and leaves nothing."""

from pathlib import Path
from typing import Any

import pytest
from http_helpers import problem
from moving_helpers import NAME, Site, forged, members, signed, site, zipped

from app.moving.bundle import MANIFEST
from app.storage.blobs import Blobs
from app.storage.directories import DirectoryBlobs
from detector.artefact import fit_bytes
from detector.row_file import read_rows, rows_bytes


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
