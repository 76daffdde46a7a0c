"""What several tests share: the backbone, real photographs, the shared data where it is at hand."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import settings
from numpy.typing import NDArray

from detector.embedder import Embedder

settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def scheduling_stays_as_it_was() -> Iterator[None]:
    """Law: what a test runs in this process leaves scheduling to the next test as it was."""
    interval_s, policy = before = _scheduling()
    yield
    after = _scheduling()
    sys.setswitchinterval(interval_s)
    if after != before and sys.platform == "linux":
        os.sched_setscheduler(0, policy, os.sched_param(0))
    assert after == before


def _scheduling() -> tuple[float, int]:
    policy = os.sched_getscheduler(0) if sys.platform == "linux" else 0
    return sys.getswitchinterval(), policy


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The embedded backbone on the CPU."""
    return Embedder.load("se-lite0", "cpu")


@pytest.fixture(scope="session")
def photographs() -> list[NDArray[np.uint8]]:
    """Real photographs, uint8 (h, w, 3), of several sizes."""
    names = ("astronaut", "coffee", "chelsea", "rocket")
    return [np.array(getattr(skimage.data, name)()) for name in names]


@pytest.fixture(scope="session")
def texture() -> list[NDArray[np.uint8]]:
    """Eighty crops of one real photograph of gravel, uint8 (128, 128, 3): a normal state."""
    photograph = np.repeat(skimage.data.gravel()[:, :, None], 3, axis=2)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 512 - 128, size=(80, 2))
    return [np.array(photograph[y : y + 128, x : x + 128]) for y, x in corners]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The directory of the shared data sets; tests that need it skip where it is missing."""
    directory = os.environ.get("TEST_DATA", "")
    if not directory or not Path(directory).is_dir():
        pytest.skip("the shared data sets are not here: set TEST_DATA to their directory")
    return Path(directory)
