"""The photographs that gates are trained on: how they are read, which are held out."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.gate_training import is_held_out, read_pool

Images = NDArray[np.uint8]


def test_crops_of_a_photograph_stay_together() -> None:
    """Contract: ``_c0`` to ``_c3`` of one photograph go to one side, in any folder or format."""
    for index in range(500):
        photograph = f"n0{index}_thing"
        names = [f"a/{photograph}_c{k}.jpg" for k in range(4)]
        names += [f"b/c/{photograph}_c1.png", f"{photograph}.jpg"]
        assert len({is_held_out(Path(name)) for name in names}) == 1, photograph


def test_a_twentieth_is_held_out() -> None:
    """Reference: the binomial with the stated share; 4000 names, five deviations."""
    held_out = sum(is_held_out(Path(f"photograph{index}.jpg")) for index in range(4000))

    assert abs(held_out - 200) < 5 * np.sqrt(4000 * 0.05 * 0.95)
    assert is_held_out(Path("any.jpg"), share=1.0)
    assert not is_held_out(Path("any.jpg"), share=0.0)


def test_pool_is_cut_at_the_centre(photographs: list[Images], tmp_path: Path) -> None:
    """Reference: an image whose short side is the wanted one is cropped, not resampled."""
    wide, tall = photographs[3][:100, :181], photographs[0][:181, :100]
    files = []
    for index, image in enumerate((wide, tall)):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(image).save(files[-1])

    pool = read_pool(files, 100)

    np.testing.assert_array_equal(pool[0], wide[:, 40:140])
    np.testing.assert_array_equal(pool[1], tall[40:140])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "RGB"])
@pytest.mark.parametrize("size", [(7, 9), (33, 32), (321, 100), (64, 64)])
def test_pool_takes_any_mode_and_size(
    photographs: list[Images], tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    """Contract: small or oblong, grey, paletted or with alpha: all become squares in colour."""
    path = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    Image.fromarray(photographs[0]).convert(mode).resize(size).save(path)

    pool = read_pool([path], 32)

    assert pool.shape == (1, 32, 32, 3)
    assert pool.dtype == np.uint8
    assert pool.std() > 1
