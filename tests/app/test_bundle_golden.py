"""Golden images of a bundle: what they are, and that they must score as was told."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_helpers import encode, problem
from moving_helpers import Site, forged, members, site
from PIL import Image


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
