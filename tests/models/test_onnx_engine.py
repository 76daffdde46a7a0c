"""The ONNX engine against torch: rows within the tolerance, whatever size, mask and batch."""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import graph_engine, graph_parity, onnx_export
from models.backbone import Backbone
from models.engines import TorchEngine
from models.graph_parity import TOLERANCE
from models.onnx_engine import OnnxEngine
from models.preprocess import LITE0
from models.squeeze_excite import SqueezeExcite
from models.taps import Taps, to_names

CPU = torch.device("cpu")
SIDE_PX = 64


class Small(nn.Module):
    """Three stages at strides 2 to 8 with a block each; the last halves an odd map."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = ((3, 8), (8, 12), (12, 16))
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 3, 2, 1) for i, o in sizes)
        self.gates = nn.ModuleList(SqueezeExcite(o, 2) for _, o in sizes)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, gate in zip(self.convolutions, self.gates, strict=True):
            x = gate(torch.relu(convolution(x)))
        return x


def backbone_of(folder: Path | None, network: nn.Module | None = None) -> Backbone:
    return Backbone("small", network or Small(), LITE0, CPU, engine="onnx", cache=folder, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's graphs are kept: an export takes seconds."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def small(folder: Path) -> Backbone:
    """A small backbone that is ready for 64 px, with a mask and without."""
    made = backbone_of(folder)
    assert made.engine.warm(3, SIDE_PX, wait=True)
    assert made.engine.warm(4, SIDE_PX, wait=True)
    return made


def pictures(seed: int, count: int, channels: int, side_px: int = SIDE_PX) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, size=(count, channels, side_px, side_px), dtype=np.uint8)
    if channels == 4:
        made[:, 3] = 0
        made[:, 3, 5:40, 20:] = rng.integers(1, 256, size=made[:, 3, 5:40, 20:].shape)
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


@settings(max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(1, 9), channels=st.sampled_from([3, 4]))
def test_taps_equal_torch(small: Backbone, seed: int, count: int, channels: int) -> None:
    """Reference: torch's engine on the same weights, with a mask and without."""
    samples = pictures(seed, count, channels)

    assert_close(small.embed(samples), TorchEngine(Small(), LITE0, CPU).embed(samples))


@settings(max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(2, 9))
def test_a_batch_is_its_pictures_alone(small: Backbone, seed: int, count: int) -> None:
    """Law: batch = alone to the bit, for any number: no score depends on who came beside it."""
    samples = pictures(seed, count, 3)
    together = to_names(small.embed(samples))

    for index, sample in enumerate(samples):
        for name, alone in to_names(small.embed([sample])).items():
            torch.testing.assert_close(alone[0], together[name][index], rtol=0, atol=0, msg=name)


def test_another_process_takes_the_kept_graph(
    small: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: restart = same answers, and no second export."""
    monkeypatch.setattr(onnx_export, "export_apart", None)
    again = backbone_of(folder)
    samples = pictures(1, 3, 3)

    assert again.engine.warm(3, SIDE_PX, wait=True)
    assert_close(again.embed(samples), small.embed(samples), tolerance=0)


@pytest.mark.usefixtures("small")
def test_other_weights_take_another_graph(folder: Path) -> None:
    """Law: a graph belongs to the fingerprint; other weights never meet it."""
    other = Small()
    with torch.no_grad():
        other.gates[0].excite.expand.bias.add_(1)
    engine = backbone_of(folder, other).engine
    assert isinstance(engine, OnnxEngine)

    mine, theirs = (e._files.path(3, SIDE_PX) for e in (engine, backbone_of(folder).engine))
    assert mine != theirs
    assert not mine.exists()
    assert theirs.exists()


@pytest.mark.usefixtures("small")
def test_a_damaged_graph_is_made_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: what cannot be read is replaced, with a warning."""
    (kept,) = folder.glob("*-3x64.onnx")
    (tmp_path / kept.name).write_bytes(b"no graph")

    assert backbone_of(tmp_path).engine.warm(3, SIDE_PX, wait=True)
    assert "is not used" in caplog.text
    assert len((tmp_path / kept.name).read_bytes()) > 1000


def test_torch_answers_until_the_graph_is_made(
    small: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the first pictures of a new size do not wait; they get the same answer."""
    (kept,) = folder.glob("*-3x64.onnx")
    content, go = kept.read_bytes(), threading.Event()

    def export(*_what: object) -> bytes:
        assert go.wait(60)
        return content

    monkeypatch.setattr(onnx_export, "export_apart", export)
    slow, samples = backbone_of(None), pictures(2, 2, 3)
    assert_close(slow.embed(samples), small.embed(samples))
    assert not slow.engine.warm(3, SIDE_PX, wait=False)

    go.set()

    assert slow.engine.warm(3, SIDE_PX, wait=True)
    assert_close(slow.embed(samples), small.embed(samples), tolerance=0)


class Odd(Small):
    """A network that no exporter takes: its way depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the last map."""
        return super().forward(x if float(x.sum()) < 1e9 else -x)


def test_what_cannot_be_exported_runs_on_torch(caplog: pytest.LogCaptureFixture) -> None:
    """Contract: a warning, and torch's answers."""
    odd = backbone_of(None, Odd())
    samples = pictures(3, 2, 3)

    assert not odd.engine.warm(3, SIDE_PX, wait=True)
    assert "no onnx engine for pictures of 64 px, torch does it" in caplog.text
    assert_close(odd.embed(samples), TorchEngine(Odd(), LITE0, CPU).embed(samples), tolerance=0)


def test_what_differs_from_torch_is_not_used(
    small: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: a graph of other weights under this fingerprint fails the comparison."""
    (kept,) = folder.glob("*-3x64.onnx")
    monkeypatch.setattr(onnx_export, "export_apart", lambda *_what: kept.read_bytes())
    other = Small()
    with torch.no_grad():
        other.gates[0].excite.expand.bias.add_(0.01)

    with caplog.at_level(logging.WARNING):
        assert not backbone_of(None, other).engine.warm(3, SIDE_PX, wait=True)
    assert "onnx differs from torch by" in caplog.text


def test_a_folder_that_cannot_be_written_costs_a_warning_only(
    small: Backbone,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Contract: the graph that was made is used all the same."""
    (kept,) = folder.glob("*-3x64.onnx")
    monkeypatch.setattr(onnx_export, "export_apart", lambda *_what: kept.read_bytes())
    (tmp_path / "engines").write_text("a file where the folder should be")

    made = backbone_of(tmp_path / "engines")

    assert made.engine.warm(3, SIDE_PX, wait=True)
    assert "it cannot be kept" in caplog.text
    samples = pictures(4, 2, 3)
    assert_close(made.embed(samples), small.embed(samples), tolerance=0)


def test_a_kept_graph_of_another_time_is_made_anew(
    small: Backbone, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a graph that differs from torch is replaced by the one that does not."""
    (kept,) = folder.glob("*-3x64.onnx")
    masked = next(folder.glob("*-4x64.onnx")).read_bytes()
    (tmp_path / kept.name).write_bytes(masked)  # another graph under this name
    monkeypatch.setattr(onnx_export, "export_apart", lambda *_what: kept.read_bytes())

    assert backbone_of(tmp_path).engine.warm(3, SIDE_PX, wait=True)
    assert (tmp_path / kept.name).read_bytes() == kept.read_bytes()


def test_who_may_not_export_takes_what_is_kept(
    small: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a kept graph is used, another size is torch's, and nothing is made."""
    monkeypatch.setattr(onnx_export, "export_apart", None)
    made = Backbone("small", Small(), LITE0, CPU, engine="onnx", cache=folder, exports=False)

    assert made.engine.warm(3, SIDE_PX, wait=True)
    assert not made.engine.warm(3, 2 * SIDE_PX, wait=True)
    samples = pictures(5, 2, 3, 2 * SIDE_PX)
    assert_close(made.embed(samples), small.engine.reference.embed(samples), tolerance=0)


def test_few_graphs_stay_in_memory(
    small: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the one not used for longest goes, and comes back when it is asked for."""
    monkeypatch.setattr(onnx_export, "export_apart", None)
    monkeypatch.setattr(graph_engine, "MAX_GRAPHS", 1)
    made = backbone_of(folder)

    for channels in (3, 4, 3):
        assert made.engine.warm(channels, SIDE_PX, wait=True)
        samples = pictures(6, 2, channels)
        assert_close(made.embed(samples), small.embed(samples), tolerance=0)
    assert isinstance(made.engine, OnnxEngine)
    assert list(made.engine._graphs) == [(3, SIDE_PX)]


def test_an_export_leaves_this_process_as_it_was(folder: Path) -> None:
    """Law: no file stays open, and no tensor moves into shared memory."""
    made = backbone_of(None)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0

    assert made.engine.warm(3, 96, wait=True)

    after = len(list(Path("/proc/self/fd").iterdir())) if before else 0
    assert after <= before + 1  # the resource tracker's, of the first process ever started
    assert isinstance(made.engine, OnnxEngine)
    shared = [p.is_shared() for p in made.engine.reference._tapped.network.parameters()]
    assert not any(shared)


def test_photographs_are_pictures() -> None:
    """Contract: what is compared has the detail of the world, not of noise or of one colour."""
    for sample in graph_parity.pictures(LITE0, 4, 96):
        assert sample.shape == (4, 96, 96)
        assert sample[:3].std() > 15
        assert np.abs(np.diff(sample[:3].astype(float))).mean() < sample[:3].std()
        assert 0 < (sample[3] > 0).mean() < 1
