"""What a device says when it has no memory or is lost, and that nothing else is taken for it."""

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from detector.embedder import Embedder
from detector.errors import DeviceLostError, DeviceMemoryError

SAMPLE = np.zeros((3, 64, 64), np.uint8)


def too_large() -> RuntimeError:
    """Return what torch says on the CPU to whoever wants far too much."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    return raised.value


def fail_with(error: Exception, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_samples: Sequence[np.ndarray]) -> Any:
        raise error

    monkeypatch.setattr(embedder._backbone, "embed", fails)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer"),
        too_large(),
        MemoryError(),
    ],
    ids=lambda error: str(error)[:30],
)
def test_no_memory(error: Exception, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: of torch on either device, of ONNX Runtime, of NumPy; what was said is kept."""
    fail_with(error, embedder, monkeypatch)
    with pytest.raises(DeviceMemoryError) as raised:
        embedder.embed([SAMPLE])
    assert type(error).__name__ in str(raised.value)
    assert str(error) in str(raised.value)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: device-side assert triggered",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: unspecified launch failure",
        "CUDA error: uncorrectable ECC error encountered",
    ],
)
def test_lost(words: str, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: errors that CUDA gives again and again until the process ends."""
    fail_with(RuntimeError(words), embedder, monkeypatch)
    with pytest.raises(DeviceLostError, match=words):
        embedder.embed([SAMPLE])


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("memory of an elephant")]
)
def test_others_pass_through(
    error: Exception, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: what may be about the samples is theirs."""
    fail_with(error, embedder, monkeypatch)
    with pytest.raises(type(error)) as raised:
        embedder.embed([SAMPLE])
    assert raised.value is error


def test_an_error_keeps_no_tensors(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: whoever holds the error, and tries again with fewer, has the memory for it."""
    held: list[weakref.ref[torch.Tensor]] = []

    def fails(_samples: Sequence[np.ndarray]) -> Any:
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        raise RuntimeError("out of memory")

    monkeypatch.setattr(embedder._backbone, "embed", fails)
    with pytest.raises(DeviceMemoryError) as raised:
        embedder.embed([SAMPLE])
    gc.collect()
    assert raised.value.__context__ is raised.value.__cause__ is None
    assert held[0]() is None
