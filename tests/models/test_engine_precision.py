"""bfloat16: how far its rows are from float32's, and that they are never taken for one another."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.backbone import Backbone, build
from models.onnx_engine import OnnxEngine
from models.precision import BFLOAT16_TOLERANCE, PrecisionError
from models.preprocess import LITE0
from models.se_lite0 import se_lite0
from models.taps import to_names

Crops = Callable[[int, int], NDArray[np.uint8]]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole() -> Backbone:
    """The shipped backbone."""
    return build("se-lite0", CPU)


@pytest.fixture(scope="module")
def halves() -> Backbone:
    """The same in bfloat16."""
    return build("se-lite0", CPU, precision="bfloat16")


def test_rows_are_near_those_of_float32(whole: Backbone, halves: Backbone, crops: Crops) -> None:
    """Reference: float32 on photographs; no value off by more than the tolerance, nor the mean of
    any statistic by more than 2 %, of the statistic's largest; all rows are float32."""
    samples = [whole.preprocessing.resize(crop, 64) for crop in crops(8, 128)]
    ours = to_names(halves.embed(samples))

    for name, wanted in to_names(whole.embed(samples)).items():
        error = (ours[name] - wanted).abs() / wanted.abs().max()
        assert float(error.max()) <= BFLOAT16_TOLERANCE, name
        assert 1e-5 < float(error.mean()) <= 0.02, name  # it is another precision
        assert ours[name].dtype == torch.float32


def test_a_batch_is_its_pictures_alone(halves: Backbone, crops: Crops) -> None:
    """Law: batch = alone, up to one rounding in bfloat16, though precision is low."""
    samples = [halves.preprocessing.resize(crop, 64) for crop in crops(4, 128)]
    together = to_names(halves.embed(samples))

    for index, sample in enumerate(samples):
        for name, alone in to_names(halves.embed([sample])).items():
            row = together[name][index]
            torch.testing.assert_close(alone[0], row, rtol=0, atol=float(row.abs().max()) / 256)


def test_the_precision_is_in_the_fingerprint(whole: Backbone, halves: Backbone) -> None:
    """Contract: what was fitted in one is not judged in the other; float32's is as it ever was."""
    assert (whole.precision, halves.precision) == ("float32", "bfloat16")
    assert whole.fingerprint != halves.fingerprint
    assert whole.fingerprint == build("se-lite0", CPU, engine="onnx").fingerprint
    assert halves.fingerprint == build("se-lite0", CPU, precision="bfloat16").fingerprint


def test_a_runtime_without_that_precision_is_refused() -> None:
    """Contract: never float32 in silence where bfloat16 was asked for."""
    with pytest.raises(PrecisionError, match="'onnx' computes in float32 on this machine, not in"):
        OnnxEngine(se_lite0(), LITE0, fingerprint="", precision="bfloat16")
