"""The CUDA engine, its recorder replaced by one that needs no GPU: buckets, filling, cutting back.

What only a GPU can show is marked ``gpu`` and skipped elsewhere.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models import cuda_engine
from models.cuda_engine import BUCKETS, CudaEngine, bucket_of
from models.engines import Engine, TorchEngine
from models.precision import BFLOAT16_TOLERANCE
from models.preprocess import LITE0
from models.se_lite0 import SeLite0
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped, Taps, to_names

CPU = torch.device("cpu")
SIDE_PX = 48
Named = dict[str, Tensor]


class Small(nn.Module):
    """Three stages at strides 2 to 8 with a block each."""

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


class Replays:
    """Records as CUDA does, as far as one can see: playing fills the same tensors again."""

    def __init__(self) -> None:
        self.recorded: list[int] = []
        self.played = 0

    def __call__(self, run: Callable[[], Named]) -> tuple[Callable[[], None], Named]:
        outputs = {name: torch.full_like(held, torch.nan) for name, held in run().items()}
        self.recorded.append(len(next(iter(outputs.values()))))

        def play() -> None:
            self.played += 1
            for name, held in run().items():
                outputs[name].copy_(held)

        return play, outputs


def engine(recorder: Any, **options: Any) -> CudaEngine:
    return CudaEngine(Small(), LITE0, CPU, recorder=recorder, **options)


def pictures(seed: int, count: int, channels: int = 3, side_px: int = SIDE_PX) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, size=(count, channels, side_px, side_px), dtype=np.uint8)
    if channels == 4:
        made[:, 3, : side_px // 2] = 0
    return list(made)


def assert_close(actual: Taps, wanted: Taps, tolerance: float) -> None:
    """Compare all taps; the tolerance is relative to each statistic's largest value."""
    ours, theirs = to_names(actual), to_names(wanted)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        scale = float(value.nan_to_num().abs().max())
        torch.testing.assert_close(
            ours[name].cpu(),
            value.cpu(),
            rtol=0,
            atol=tolerance * scale,
            equal_nan=True,
            check_stride=False,
            msg=name,
        )


def test_buckets_hold_what_fits() -> None:
    """Law: the smallest that holds a batch, never twice as large; beyond the last there is none."""
    for count in range(1, BUCKETS[-1] + 1):
        bucket = bucket_of(count)
        assert bucket is not None
        assert count <= bucket < 2 * count
    assert bucket_of(BUCKETS[-1] + 1) is None


@settings(max_examples=20)
@given(
    seed=st.integers(0, 999),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    channels=st.sampled_from([3, 4]),
)
def test_taps_equal_torch(seed: int, counts: list[int], channels: int) -> None:
    """Reference: torch's engine, with a mask and without, whatever was played before."""
    made, wanted = engine(Replays()), TorchEngine(Small(), LITE0, CPU)

    for turn, count in enumerate(counts):
        samples = pictures(seed + turn, count, channels)
        assert_close(made.embed(samples), wanted.embed(samples), tolerance=1e-6)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_row_does_not_depend_on_the_filling(channels: int) -> None:
    """Law: the same bits, whatever an earlier and larger batch left in the bucket."""
    made, samples = engine(Replays()), pictures(0, 5, channels)
    first = made.embed(samples)
    made.embed(pictures(1, 8, channels))

    assert_close(made.embed(samples), first, tolerance=0)


def test_an_answer_is_not_overwritten_by_the_next() -> None:
    """Law: what was given stays, though the next pass fills the same tensors."""
    made, samples = engine(Replays()), pictures(2, 4)
    first = made.embed(samples)
    kept = {name: held.clone() for name, held in to_names(first).items()}
    made.embed(pictures(3, 4))

    for name, held in to_names(first).items():
        assert torch.equal(held, kept[name])


def test_each_shape_is_recorded_once() -> None:
    """Contract: one pass a bucket, size and mask; what no bucket holds runs as it comes."""
    recorder = Replays()
    made = engine(recorder)
    assert isinstance(made, Engine)

    for count in (3, 4, 1, 3):
        made.embed(pictures(4, count))
    made.embed(pictures(4, 3, 4))
    made.embed(pictures(4, 3, side_px=64))
    assert (recorder.recorded, recorder.played) == ([4, 1, 4, 4], 6)

    large = pictures(5, BUCKETS[-1] + 1)
    wanted = TorchEngine(Small(), LITE0, CPU).embed(large)
    assert_close(made.embed(large), wanted, tolerance=1e-6)
    assert recorder.played == 6


def test_those_who_wait_find_every_bucket_recorded() -> None:
    """Contract: warm records all of them, and only where it may take its time."""
    recorder = Replays()
    made = engine(recorder)

    assert made.warm(3, SIDE_PX, wait=False)
    assert recorder.recorded == []
    assert made.warm(3, SIDE_PX, wait=True)
    assert recorder.recorded == list(BUCKETS)


def test_what_cannot_be_recorded_runs_as_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    """Contract: torch's answer, one warning, no second try."""
    tries: list[int] = []

    def refuses(_run: Callable[[], Named]) -> Any:
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    made, samples = engine(refuses), pictures(6, 3)
    wanted = TorchEngine(Small(), LITE0, CPU).embed(samples)

    for _ in range(2):
        assert_close(made.embed(samples), wanted, tolerance=1e-6)
    assert len(tries) == len(caplog.records) == 1
    assert "batches of 4 run without a CUDA graph: operation not permitted" in caplog.text


def test_few_passes_stay_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: the one not used for longest goes, and is recorded again when it is met."""
    monkeypatch.setattr(cuda_engine, "MAX_GRAPHS", 2)
    recorder = Replays()
    made = engine(recorder)

    for count in (1, 2, 1, 4, 1, 2):
        made.embed(pictures(7, count))
    assert recorder.recorded == [1, 2, 4, 2]


def test_what_could_not_be_recorded_is_tried_again_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Law: memory that was short once does not cost the graphs until restart."""
    now_s, tries, replays = [0.0], [], Replays()

    def recorder(run: Callable[[], Named]) -> tuple[Callable[[], None], Named]:
        tries.append(now_s[0])
        if now_s[0] < 300:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return replays(run)

    made = engine(recorder, clock=lambda: now_s[0])
    samples, wanted = pictures(0, 2), TorchEngine(Small(), LITE0, CPU).embed(pictures(0, 2))
    for now_s[0] in (0, 299, 300, 301):
        assert_close(made.embed(samples), wanted, 1e-5)

    assert tries == [0, 300]
    assert replays.played == 2
    assert "batches of 2 run without a CUDA graph" in caplog.text


def test_bfloat16_is_near_float32_and_taps_are_float32() -> None:
    """Reference: float32; played back, the precision is that of the recording."""
    samples = pictures(8, 5)
    halves = engine(Replays(), precision="bfloat16").embed(samples)
    whole = engine(Replays()).embed(samples)

    assert_close(halves, whole, tolerance=BFLOAT16_TOLERANCE)
    with pytest.raises(AssertionError):
        assert_close(halves, whole, tolerance=1e-5)


def test_float32_is_not_rounded_by_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: TF32, cuDNN's default, is off once there is an engine."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    engine(Replays())
    assert not torch.backends.cudnn.allow_tf32


class _Watch(TorchDispatchMode):
    """Notes operations that bring numbers to the device, or fetch them, which a graph cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.waiting: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        held = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, Tensor)]
        fetches = any(word in str(func) for word in ("_local_scalar", "lift_fresh", "nonzero"))
        if fetches or len({each.device for each in held}) > 1:
            self.waiting.append(str(func))
        self.seen += 1
        return out


@pytest.mark.parametrize("masked", [False, True])
def test_a_pass_can_be_recorded(masked: bool) -> None:
    """Contract: nothing in the shipped network's pass waits for the device, where tensors lie on
    one that is only imagined."""
    with FakeTensorMode(), torch.device("cuda"):
        network = SeLite0().eval().requires_grad_(requires_grad=False)
        x = torch.empty(4, 3, 64, 64)
        weights = torch.empty(4, 1, 64, 64) if masked else None
        with _Watch() as watch, torch.no_grad():  # which shows what operations are made of
            taps = to_names(Tapped(network)(x, weights=weights))

    assert {held.device.type for held in taps.values()} == {"cuda"}
    assert watch.seen > 300
    assert watch.waiting == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("channels", [3, 4])
def test_on_a_gpu_recorded_passes_are_those_of_the_cpu(
    channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Reference: torch on the CPU, to 1e-3, and nothing fell back."""
    made = CudaEngine(Small(), LITE0, torch.device("cuda"))
    reference = TorchEngine(Small(), LITE0, CPU)

    for count in (1, 3, 5, 3):
        samples = pictures(count, count, channels)
        assert_close(made.embed(samples), reference.embed(samples), tolerance=1e-3)
    assert caplog.text == ""
