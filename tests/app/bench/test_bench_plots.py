"""Example maps: drawn where there are maps, with or without a readable mask."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.bench.configurations import Configuration
from app.bench.images import Reader
from app.bench.layouts import find_sets
from app.bench.plots import plot_set
from app.bench.results import Row
from app.bench.run import Outcome
from app.settings import Settings
from detector.embedder import Embedder

YELLOW, PURPLE = np.array([253, 231, 37]), np.array([68, 1, 84])  # ends of the colour scale


@pytest.fixture
def outcome(defect_set: Path) -> Outcome:
    """Scores that grow from image to image; maps that are 1 in the upper half, 0 below."""
    (found,) = find_sets([defect_set])
    maps = np.zeros((len(found.test), 8, 8))
    maps[:, :4] = 1
    row = Row(
        set="mill/gravel",
        backbone="net",
        descriptor="squeeze",
        scorer="gaussian",
        options="",
        default=True,
        seed=0,
        size=64,
        train_images=12,
        test_images=len(found.test),
        auroc=1.0,
        auroc_low=1.0,
        auroc_high=1.0,
        pixel_auroc=None,
        pro=None,
        fit_seconds=1.0,
        ms_per_image=1.0,
        detector_bytes=1,
        peak_rss_bytes=1,
    )
    scores = np.arange(len(found.test), dtype=float)
    configuration = Configuration("net", "squeeze", "gaussian", default=True)
    return Outcome(row, configuration, found.test, scores, maps)


def near(picture: Path, colour: np.ndarray) -> int:
    """Count the pixels of about this colour."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=-1) < 30).sum())


def test_maps_are_drawn_the_right_way_up(
    outcome: Outcome, embedder: Embedder, tmp_path: Path
) -> None:
    """Contract: high values are bright, on one scale; the file's name holds no slash."""
    reader = Reader(Settings(), embedder.prepare, 64)
    plot_set(outcome, reader, tmp_path)

    names = {path.name for path in tmp_path.iterdir()}
    stems = ("histogram", "errors", "maps")
    assert names == {f"{stem}-mill-gravel.png" for stem in stems}
    with Image.open(tmp_path / "maps-mill-gravel.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    maps = pixels[len(pixels) // 2 :]  # the upper half shows the pictures
    bright, dark = (np.abs(maps - colour).max(axis=-1) < 30 for colour in (YELLOW, PURPLE))
    assert min(bright.sum(), dark.sum()) > 1000
    assert np.nonzero(bright)[0].mean() + 30 < np.nonzero(dark)[0].mean()


def test_an_unreadable_mask_costs_its_outline_only(
    outcome: Outcome, embedder: Embedder, tmp_path: Path
) -> None:
    """Contract: the picture and the map are drawn all the same."""
    broken = tmp_path / "mask.png"
    broken.write_bytes(b"no image")
    images = [replace(i, mask=broken) if i.anomalous else i for i in outcome.images]
    reader = Reader(Settings(), embedder.prepare, 64)
    (tmp_path / "out").mkdir()

    plot_set(replace(outcome, images=images), reader, tmp_path / "out")

    assert near(tmp_path / "out" / "maps-mill-gravel.png", YELLOW) > 1000
    assert not reader.rejected


def test_without_maps_there_is_no_sheet_of_maps(
    outcome: Outcome, embedder: Embedder, tmp_path: Path
) -> None:
    """Contract: a scorer without maps draws none."""
    plot_set(replace(outcome, maps=None), Reader(Settings(), embedder.prepare, 64), tmp_path)

    assert not (tmp_path / "maps-mill-gravel.png").exists()
    assert (tmp_path / "errors-mill-gravel.png").exists()
