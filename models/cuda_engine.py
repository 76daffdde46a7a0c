"""The CUDA engine: torch on a GPU, its passes over pictures recorded once and played back.

A pass of an SE network is hundreds of small kernels, and a GPU runs most of them in less time than
Python takes to start them. Recorded as a CUDA graph, a pass is started by one call. A graph
belongs to one shape, so batches are filled up to the next bucket, a power of two up to 64; larger
ones, and samples other than pictures, run as they come. The filling is not looked at: no operation
of a network in evaluation mode mixes the samples of a dense batch.

Pixels go to the device as bytes, in one copy from pinned memory, and are normalised there; the taps
come back in one copy. A graph holds its memory as long as it lasts: the one not used for longest
goes first.

In float32 cuDNN is kept from rounding to TF32, so that detectors fitted on a CPU serve here.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from models.engines import TorchEngine
from models.precision import Precision, exact_convolutions
from models.preprocess import Preparation, Preprocessing
from models.taps import Taps, from_names, to_names

log = logging.getLogger(__name__)

BUCKETS = (1, 2, 4, 8, 16, 32, 64)
MAX_GRAPHS = 2 * len(BUCKETS)
"""Most passes that stay recorded: all buckets of two sizes, or of one with a mask and without."""
AGAIN_S = 300.0
"""How long a pass that could not be recorded runs as it comes: memory may be free again later."""
WARM_UPS = 3
"""Passes before the recording, in which libraries choose their algorithms and take memory."""

Named = dict[str, Tensor]
Key = tuple[int, int, int]  # channels, side, bucket
Recorder = Callable[[Callable[[], Named]], tuple[Callable[[], None], Named]]
"""From a pass to what plays it back, and the tensors that this fills."""


def bucket_of(count: int) -> int | None:
    """Return the smallest bucket that holds so many; None if none does."""
    return next((bucket for bucket in BUCKETS if bucket >= count), None)


@dataclass(frozen=True, slots=True)
class _Graph:
    """A recorded pass: from what lies in its inputs, ``play`` makes its outputs."""

    x: Tensor
    weights: Tensor | None
    play: Callable[[], None]
    outputs: Named


class CudaRecorder:
    """Records passes as CUDA graphs that share one pool of memory: they run one at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], Named]) -> tuple[Callable[[], None], Named]:
        """Warm up on a stream aside, as CUDA asks, then record."""
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                run()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # The first brings the stream back whatever happens: a recording that fails to end does not.
        # Other threads may use the device meanwhile: they are no part of this graph.
        with (
            torch.cuda.stream(torch.cuda.current_stream()),
            torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"),
        ):
            outputs = run()
        return graph.replay, outputs


class CudaEngine(TorchEngine):
    """torch on CUDA; see the module.

    Args:
        network: is taken over.
        preparation: of the network.
        device: a GPU.
        precision: what it computes in; taps are float32 always.
        recorder: makes a pass one that can be played back; None records CUDA graphs.
        clock: seconds that never go back.

    Raises:
        NoGatesError: if the network has no SE block.
    """

    def __init__(
        self,
        network: nn.Module,
        preparation: Preparation,
        device: torch.device,
        precision: Precision = "float32",
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(network, preparation, device, precision)
        exact_convolutions()
        self._record = recorder or CudaRecorder()
        self._graphs: OrderedDict[Key, _Graph] = OrderedDict()
        self._failed: dict[Key, float] = {}
        """When it is tried again."""
        self._clock = clock

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared samples; those of pictures lie on the CPU."""
        if not isinstance(self._preparation, Preprocessing):
            return super().embed(samples)
        with self._free, torch.inference_mode():
            x, weights = self._preparation.shown(self._copied(samples))
            graph = self._graph(x, weights)
            if graph is None:
                x = x.contiguous(memory_format=torch.channels_last)
                named = to_names(self._run(x, weights=weights))
            else:
                graph.x[: len(x)].copy_(x)
                if graph.weights is not None and weights is not None:
                    graph.weights[: len(x)].copy_(weights)
                graph.play()
                named = graph.outputs
            return from_names(_brought(named, len(samples)))

    def warm(self, channels: int, side_px: int, *, wait: bool) -> bool:
        """Record every bucket where one waits for it; without, each is when it is first met."""
        if wait:
            sample = np.zeros((channels, side_px, side_px), np.uint8)
            for bucket in BUCKETS:
                self.embed([sample] * bucket)
        return True

    def _copied(self, samples: Sequence[np.ndarray]) -> UInt8[Tensor, "b channels s s"]:
        """Return the pixels on the device."""
        size = (len(samples), *samples[0].shape)
        pixels = torch.empty(size, dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        np.stack(samples, out=pixels.numpy())
        return pixels.to(self._device, non_blocking=True)

    def _graph(
        self, x: Float[Tensor, "b 3 s s"], weights: Float[Tensor, "b 1 s s"] | None
    ) -> _Graph | None:
        """Return the recorded pass for such a batch; None if it runs as it comes."""
        bucket = bucket_of(len(x))
        if bucket is None:
            return None
        key = 3 if weights is None else 4, x.shape[2], bucket
        if key not in self._graphs:
            if self._clock() < self._failed.get(key, -math.inf):
                return None
            graph = self._recorded(x, weights, bucket)
            if graph is None:
                self._failed[key] = self._clock() + AGAIN_S
                return None
            self._failed.pop(key, None)
            self._graphs[key] = graph
            while len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return self._graphs[key]

    def _recorded(self, x: Tensor, weights: Tensor | None, bucket: int) -> _Graph | None:
        inputs = x.new_zeros(bucket, *x.shape[1:]).contiguous(memory_format=torch.channels_last)
        counting = None if weights is None else weights.new_ones(bucket, *weights.shape[1:])
        try:
            play, outputs = self._record(lambda: to_names(self._run(inputs, weights=counting)))
        except Exception as error:  # of any kind: of the network, torch or CUDA
            log.warning("batches of %d run without a CUDA graph: %s", bucket, error)
            return None
        return _Graph(inputs, counting, play, outputs)


def _brought(named: Named, count: int) -> Named:
    """Return the first rows of every tensor on the CPU, by one copy for all."""
    rows = {name: held[:count] for name, held in named.items()}
    flat = torch.cat([held.reshape(-1) for held in rows.values()]).cpu()
    parts = torch.split(flat, [held.numel() for held in rows.values()])
    return {
        name: part.view(held.shape) for (name, held), part in zip(rows.items(), parts, strict=True)
    }
