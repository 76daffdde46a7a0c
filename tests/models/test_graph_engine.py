"""What all graph engines do around their runtime, which here is torch under another name."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import graph_engine, onnx_export
from models.engines import TorchEngine
from models.graph_engine import GraphEngine, NotReadyError, Runner
from models.precision import Precision, PrecisionError
from models.preprocess import LITE0
from models.squeeze_excite import SqueezeExcite
from models.taps import Taps, to_names

CPU = torch.device("cpu")
GOOD, BAD = b"good", b"bad"
PAIRS = [(3, 64), (3, 72), (4, 64)]


class Small(nn.Module):
    """One stage with a block."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.gate = nn.Conv2d(3, 8, 3, 2, 1), SqueezeExcite(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(torch.relu(self.convolution(x)))


class Twin(GraphEngine):
    """Opens good graphs as torch, bad ones as torch with other weights."""

    name = "twin"

    def _precisions(self) -> tuple[Precision, ...]:
        return "float32", "bfloat16"

    def _open(self, content: bytes) -> Runner:
        network = Small()
        if content != GOOD:
            with torch.no_grad():
                network.gate.excite.expand.bias.add_(9)
        runtime = TorchEngine(network, LITE0, CPU)

        def run(pixels: np.ndarray) -> Taps:
            return runtime.embed(list(pixels))

        return run


def twin(**options: Any) -> Twin:
    return Twin(Small(), LITE0, fingerprint="", **options)


def pictures(channels: int = 3, side_px: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(1, 256, (2, channels, side_px, side_px), dtype=np.uint8))


def assert_float32(taps: Taps) -> None:
    """Compare with float32's taps of those pictures: not to be mistaken for bfloat16's."""
    wanted = to_names(TorchEngine(Small(), LITE0, CPU).embed(pictures()))
    for name, value in to_names(taps).items():
        torch.testing.assert_close(value, wanted[name], rtol=0, atol=1e-6, equal_nan=True)


def good(*_what: object) -> bytes:
    return GOOD


def bad(*_what: object) -> bytes:
    return BAD


def full(*_what: object) -> bytes:
    raise OSError("no space left on device")


@pytest.mark.parametrize(("export", "exports"), [(bad, True), (full, True), (good, False)])
def test_in_bfloat16_what_has_no_graph_is_refused(
    export: Callable[..., bytes], exports: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: torch's rows never come under a runtime's fingerprint, whyever there is no graph."""
    monkeypatch.setattr(onnx_export, "export_apart", export)
    made = twin(precision="bfloat16", exports=exports)
    monkeypatch.setattr(made.reference, "embed", None)

    assert not made.warm(3, 64, wait=True)
    with pytest.raises(PrecisionError, match="no graph for pictures of 64 px in bfloat16"):
        made.embed(pictures())


def test_in_bfloat16_nobody_waits_for_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: pictures of a new size are refused meanwhile, and seen by the runtime afterwards."""
    go = threading.Event()
    monkeypatch.setattr(onnx_export, "export_apart", lambda *_what: go.wait(60) and GOOD)
    made = twin(precision="bfloat16")
    monkeypatch.setattr(made.reference, "embed", None)

    with pytest.raises(NotReadyError, match="made ready for pictures of 64 px: repeat"):
        made.embed(pictures())
    go.set()

    assert made.warm(3, 64, wait=True)
    assert_float32(made.embed(pictures()))


def test_in_bfloat16_who_only_reads_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: a kept graph is soon read: the first picture of a command is not refused."""
    monkeypatch.setattr(onnx_export, "export_apart", good)
    assert twin(precision="bfloat16", folder=tmp_path).warm(3, 64, wait=True)

    assert_float32(twin(precision="bfloat16", folder=tmp_path, exports=False).embed(pictures()))


def test_a_failure_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: a full disk or memory costs minutes, not the runtime until restart; each further
    failure twice as many."""
    now_s, tries = [0.0], []
    made = twin(clock=lambda: now_s[0])
    monkeypatch.setattr(onnx_export, "export_apart", lambda *what: tries.append(what) or full())
    for now_s[0], tried in ((0, 1), (299, 1), (300, 2), (899, 2), (900, 3), (2099, 3)):
        assert not made.warm(3, 64, wait=True)
        assert len(tries) == tried, now_s

    monkeypatch.setattr(onnx_export, "export_apart", good)
    assert not made.warm(3, 64, wait=True)
    now_s[0] = 2100
    assert made.warm(3, 64, wait=True)


def test_graphs_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: more pairs in turn than there is room for take one thread, and none is made twice while
    it is on its way."""
    monkeypatch.setattr(graph_engine, "MAX_GRAPHS", 1)
    go, busy, tries = threading.Event(), threading.Lock(), []

    def export(_network: object, _preprocessing: object, *key: int) -> bytes:
        tries.append(key)
        assert busy.acquire(blocking=False), "two at a time"
        assert go.wait(60)
        busy.release()
        return GOOD

    monkeypatch.setattr(onnx_export, "export_apart", export)
    made = twin()
    before = threading.active_count()
    for channels, side_px in 3 * PAIRS:
        made.embed(pictures(channels, side_px))
        assert threading.active_count() == before + 1
    waiting = [made._graph(key) for key in PAIRS]

    go.set()

    assert all(graph.result(60) for graph in waiting)
    assert tries == PAIRS
    assert list(made._graphs) == PAIRS[-1:]
