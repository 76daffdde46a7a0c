"""The OpenVINO engine against torch: rows within the tolerance, on several threads, as asked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import onnx_export
from models.backbone import Backbone
from models.engines import TorchEngine
from models.graph_engine import NotReadyError
from models.graph_parity import TOLERANCE
from models.precision import PrecisionError
from models.preprocess import LITE0
from models.squeeze_excite import SqueezeExcite
from models.taps import Taps, to_names

pytest.importorskip("openvino", reason="the extra [openvino] is not installed")

CPU = torch.device("cpu")
SIDE_PX = 64


class Small(nn.Module):
    """Two stages at strides 4 and 8 with a block each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = ((3, 8, 4), (8, 12, 2))
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 5, stride, 2) for i, o, stride in sizes)
        self.gates = nn.ModuleList(SqueezeExcite(o, 2) for _, o, _ in sizes)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, gate in zip(self.convolutions, self.gates, strict=True):
            x = gate(torch.relu(convolution(x)))
        return x


def backbone_of(folder: Path | None, engine: str = "openvino") -> Backbone:
    return Backbone("small", Small(), LITE0, CPU, engine=engine, cache=folder, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's graphs are kept."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def small(folder: Path) -> Backbone:
    """A small backbone that is ready for 64 px, with a mask and without."""
    made = backbone_of(folder)
    assert made.engine.warm(3, SIDE_PX, wait=True)
    assert made.engine.warm(4, SIDE_PX, wait=True)
    return made


def pictures(seed: int, count: int, channels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, size=(count, channels, SIDE_PX, SIDE_PX), dtype=np.uint8)
    if channels == 4:
        made[:, 3, :40] = 0
    return list(made)


def assert_close(actual: Taps, wanted: Taps, tolerance: float = TOLERANCE) -> None:
    """Compare all taps; the tolerance is relative to each statistic's largest value."""
    ours, theirs = to_names(actual), to_names(wanted)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        scale = float(value.nan_to_num().abs().max())
        torch.testing.assert_close(
            ours[name], value, rtol=0, atol=tolerance * scale, equal_nan=True, msg=name
        )


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_taps_equal_torch(small: Backbone, count: int, channels: int) -> None:
    """Reference: torch's engine on the same weights, with a mask and without."""
    samples = pictures(count, count, channels)
    assert small.engine.name == "openvino"
    assert_close(small.embed(samples), TorchEngine(Small(), LITE0, CPU).embed(samples))


def test_a_batch_is_its_pictures_alone(small: Backbone) -> None:
    """Law: batch = alone."""
    samples = pictures(0, 5)
    together = to_names(small.embed(samples))

    for index, sample in enumerate(samples):
        for name, alone in to_names(small.embed([sample])).items():
            row = together[name][index]
            scale = float(row.abs().max())
            torch.testing.assert_close(alone[0], row, rtol=0, atol=1e-5 * scale + 1e-7)


def test_many_threads_get_their_own_answers(small: Backbone) -> None:
    """Law: passes at the same time = one after the other, bit by bit."""
    work = [pictures(seed, 1 + seed % 3) for seed in range(24)]
    wanted = [small.embed(samples) for samples in work]

    with ThreadPoolExecutor(4) as pool:
        for taps, expected in zip(pool.map(small.embed, work), wanted, strict=True):
            assert_close(taps, expected, tolerance=0)


@pytest.mark.usefixtures("small")
def test_it_takes_the_graph_that_onnx_runtime_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: one export serves both engines, which have one fingerprint."""
    monkeypatch.setattr(onnx_export, "export_apart", None)
    theirs = backbone_of(folder, "onnx")

    assert theirs.engine.warm(3, SIDE_PX, wait=True)
    assert theirs.fingerprint == backbone_of(folder).fingerprint


def test_a_cpu_without_bfloat16_is_refused(
    folder: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: OpenVINO itself would compute in float32 and say nothing."""
    kind = type(small.engine)
    monkeypatch.setattr(kind, "_precisions", lambda _self: ("float32",))

    with pytest.raises(PrecisionError, match="computes in float32 on this machine, not in bf"):
        Backbone("small", Small(), LITE0, CPU, engine="openvino", precision="bfloat16")


def test_the_precision_is_always_said(small: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: what is not said is chosen by the machine."""
    kind = type(small.engine)
    monkeypatch.setattr(kind, "_precisions", lambda _self: ("float32", "bfloat16"))
    halves = Backbone("small", Small(), LITE0, CPU, engine="openvino", precision="bfloat16")

    for made, hint in ((small, "f32"), (halves, "bf16")):
        assert isinstance(made.engine, kind)
        assert made.engine._settings()["INFERENCE_PRECISION_HINT"] == hint


def test_in_bfloat16_nobody_gets_the_rows_of_torch(
    folder: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: pictures are refused until the graph is made: the rows of two runtimes do not mix."""
    (kept,) = folder.glob("*-3x64.onnx")
    content, go = kept.read_bytes(), threading.Event()

    def export(*_what: object) -> bytes:
        assert go.wait(60)
        return content

    monkeypatch.setattr(onnx_export, "export_apart", export)
    monkeypatch.setattr(type(small.engine), "_precisions", lambda _self: ("float32", "bfloat16"))
    halves = Backbone("small", Small(), LITE0, CPU, engine="openvino", precision="bfloat16")
    monkeypatch.setattr(halves.engine.reference, "embed", None)
    samples = pictures(9, 2)

    with pytest.raises(NotReadyError, match="made ready for pictures of 64 px: repeat"):
        halves.embed(samples)
    go.set()
    assert halves.engine.warm(3, SIDE_PX, wait=True)

    # The rows of a runtime that has the graph, whatever this CPU computes in.
    assert_close(halves.embed(samples), small.embed(samples), tolerance=0.25)
