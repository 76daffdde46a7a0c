"""Reading for the benchmark: as the service reads, in order, and maps at the pictures' size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from app.bench.images import Reader, read_mask
from app.bench.layouts import TestImage as Scored
from app.bench.pixels import rank_pixels, upsample
from app.errors import UndecodableImageError
from app.settings import Settings
from detector import imaging
from detector.embedder import Embedder


@pytest.fixture
def reader(embedder: Embedder) -> Reader:
    """A reader for images of 64 px."""
    return Reader(Settings(), embedder.prepare, 64)


def save(picture: NDArray[np.uint8], path: Path) -> Path:
    Image.fromarray(picture).save(path)
    return path


def test_images_come_in_order_as_the_service_prepares_them(
    reader: Reader, embedder: Embedder, texture: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    """Reference: decode and prepare, one by one; more images than are read ahead."""
    pictures = [texture[index][: 70 + index] for index in range(40)]
    paths = [save(picture, tmp_path / f"{i}.png") for i, picture in enumerate(pictures)]

    batches = list(reader.batches(paths, 16))

    assert [len(batch) for batch in batches] == [16, 16, 8]
    for index, one in enumerate(one for batch in batches for one in batch):
        decoded = imaging.decode(paths[index].read_bytes(), max_pixels=10**6, min_side=1)
        assert one.index == index
        assert one.shape == (70 + index, 128)
        assert np.array_equal(one.pixels, embedder.prepare(decoded, 64))
    assert not reader.rejected


def test_what_cannot_be_read_leaves_no_gap(
    reader: Reader, texture: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    """Contract: the index is that of the path; damage, smallness and absence are reasons."""
    good = [save(texture[i], tmp_path / f"good-{i}.png") for i in range(3)]
    tiny = save(texture[0][:4, :4], tmp_path / "tiny.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    bad = [tmp_path / "broken.png", tiny, tmp_path / "missing.png"]

    batches = list(reader.batches([good[0], *bad, *good[1:]], 2))

    assert [[one.index for one in batch] for batch in batches] == [[0, 4], [5]]
    assert list(reader.rejected) == bad
    assert "cannot be read: No such file" in reader.rejected[bad[2]]


def test_nothing_to_read_gives_no_batch(reader: Reader) -> None:
    """Contract: no images, no batch of none."""
    assert list(reader.batches([], 4)) == []


def test_masks_are_true_where_they_are_not_black(tmp_path: Path) -> None:
    """Contract: 0 and 255, 0 and 1, grey or colour."""
    expected = np.zeros((6, 8), dtype=np.bool_)
    expected[2:4, 1:5] = True
    for name, values in (
        ("bytes", expected * np.uint8(255)),
        ("ones", expected.astype(np.uint8)),
        ("colour", np.repeat(expected[:, :, None] * np.uint8(255), 3, axis=2)),
    ):
        assert np.array_equal(read_mask(save(values, tmp_path / f"{name}.png")), expected)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UndecodableImageError, match="mask cannot be read"):
        read_mask(tmp_path / "broken.png")


@pytest.mark.parametrize(("height", "width"), [(64, 64), (90, 131), (8, 8)])
def test_maps_grow_bilinearly_by_pixel_centres(height: int, width: int) -> None:
    """Reference: torch's bilinear interpolation without aligned corners."""
    anomaly = np.random.default_rng(0).normal(size=(8, 8))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(anomaly)[None, None], size=(height, width), mode="bilinear"
    )[0, 0].numpy()

    grown = upsample(anomaly, height, width)

    assert grown.shape == (height, width)
    assert np.allclose(grown, expected, atol=1e-5)


def test_pixels_count_where_the_truth_is_known(reader: Reader, tmp_path: Path) -> None:
    """Contract: good images count whole; a defect without a readable mask counts not at all."""
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[:4, :4] = 255
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    images = [
        Scored(tmp_path / "a", "spot", True, save(mask, tmp_path / "mask.png")),
        Scored(tmp_path / "b", "good", False),
        Scored(tmp_path / "c", "spot", True),
        Scored(tmp_path / "d", "spot", True, broken),
    ]
    maps = np.stack([mask / 255.0, np.zeros((8, 8)), np.full((8, 8), 9.0), np.full((8, 8), 9.0)])
    shapes = [(8, 8)] * 4

    ranking = rank_pixels(maps, images, shapes, reader)

    assert ranking is not None
    assert ranking.auroc() == 1.0  # either of the last two would spoil it
    assert list(reader.rejected) == [broken]
    assert rank_pixels(maps[1:], images[1:], shapes[1:], reader) is None
