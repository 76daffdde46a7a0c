"""Fits at large through the commands: which options, what is stored then, how two compare."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bulk_helpers import alike
from typer.testing import Result

from app.storage import Storage
from app.storage.version_reader import Stored
from detector.detector import Detector

IMAGES = 90
SIZE = ("--image-size", "64")
HELD = ("--hold-out", "0.4", "--calibration-images", "25", "--seed", "3")
Run = Callable[..., Result]


def stored(name: str) -> Stored:
    """Return what is in service of a detector."""
    storage = Storage.open(Path("data"))
    try:
        return storage.versions.get(name)
    finally:
        storage.close()


def same(one: Detector, other: Detector) -> None:
    """Make sure that two detectors were fitted and calibrated alike."""
    alike(one.statistics, other.statistics)
    assert one.fitted_images == other.fitted_images
    ours, theirs = one.require_calibrated(), other.require_calibrated()
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-6)
    assert ours.groups == theirs.groups
    assert ours.inputs is not None
    assert theirs.inputs is not None
    np.testing.assert_array_equal(ours.inputs, theirs.inputs)
    assert one.require_threshold().value == pytest.approx(other.require_threshold().value, 1e-6)
    assert one.require_threshold().statement == other.require_threshold().statement
