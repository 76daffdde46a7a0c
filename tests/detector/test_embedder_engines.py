"""The embedder's engines and precisions: what is taken, what is refused and with which words."""

import sys

import pytest
import torch

from detector.embedder import Embedder
from detector.errors import BackboneError


def test_bfloat16_is_told_and_has_another_fingerprint(embedder: Embedder) -> None:
    """Contract: a detector fitted in float32 cannot meet rows of bfloat16 in silence."""
    halves = Embedder.load("se-lite0", "cpu", engine="torch", precision="bfloat16")

    assert (embedder.precision, halves.precision) == ("float32", "bfloat16")
    assert halves.fingerprint != embedder.fingerprint


def test_onnx_runtime_in_bfloat16_is_refused() -> None:
    """Contract: as an error of the backbone, which says what there is."""
    with pytest.raises(BackboneError, match="'onnx' computes in float32"):
        Embedder.load("se-lite0", "cpu", engine="onnx", precision="bfloat16")


@pytest.mark.parametrize(("engine", "precision"), [("openvino", "float32"), ("auto", "bfloat16")])
def test_a_missing_extra_is_named(
    engine: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the message says what to install; ``auto`` wants it for bfloat16 on the CPU."""
    monkeypatch.delitem(sys.modules, "models.openvino_engine", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(BackboneError, match=r"pip install 'gatewatch\[openvino\]'"):
        Embedder.load("se-lite0", "cpu", engine=engine, precision=precision)


def test_openvino_on_another_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: with what to do instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    with pytest.raises(BackboneError, match="'openvino' runs on the CPU: use engine 'auto'"):
        Embedder.load("se-lite0", "cuda", engine="openvino")
