"""What the tests of the models share: the networks, built once, and crops of real photographs."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.lite0 import Lite0
from models.se_lite0 import SeLite0, lite0, se_lite0

Images = NDArray[np.uint8]
Crops = Callable[[int, int], Images]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from several threads and lose on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def trunk() -> Lite0:
    """The plain trunk with its ImageNet weights; read only."""
    return lite0()


@pytest.fixture(scope="session")
def gated() -> SeLite0:
    """The gated network with the shipped gates; read only."""
    return se_lite0()


@pytest.fixture(scope="session")
def crops(photographs: list[Images]) -> Crops:
    """From (count, side) to that many random crops of the photographs, (n, side, side, 3)."""

    def cut(count: int, side_px: int) -> Images:
        rng = np.random.default_rng(count * 1000 + side_px)
        out = []
        for index in range(count):
            photograph = photographs[index % len(photographs)]
            top, left = (int(rng.integers(extent - side_px + 1)) for extent in photograph.shape[:2])
            out.append(photograph[top : top + side_px, left : left + side_px])
        return np.stack(out)

    return cut
