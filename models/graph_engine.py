"""Engines that run a network's exported graph on the CPU, in a fraction of torch's time.

For every size of picture, with or without a mask, the network is exported once
(``models.onnx_export``), kept (``models.graph_files``), and compared with torch before it is used
(``models.graph_parity``).

Graphs are read and made in the background, one at a time, and nobody waits for one who does not ask
to. What is not ready yet, cannot be exported or differs more runs on torch, the latter two with a
warning, and are tried again later: a disk may have been full. In bfloat16, where the rows of two
runtimes must not meet, it is refused instead.
"""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models import graph_parity, onnx_export
from models.cores import cores
from models.ending import ending, waited_for
from models.engines import TorchEngine
from models.graph_files import GraphFiles
from models.packed import PackedNetwork
from models.precision import Precision, PrecisionError
from models.preprocess import Preprocessing
from models.taps import Taps

log = logging.getLogger(__name__)

MAX_GRAPHS = 8
"""Most graphs in memory, some tens of megabytes each; those not used for longest go first."""
AGAIN_S = 300.0
"""How long a graph that failed is left alone; twice as long after every further failure."""

Key = tuple[int, int]  # channels, side
Runner = Callable[[np.ndarray], Taps]
"""From prepared pixels, uint8 (b, c, s, s), to their taps; for use by several threads."""


class NotReadyError(Exception):
    """In bfloat16: the graph of this size is on its way; the request may be repeated soon."""


class GraphEngine(ABC):
    """A runtime on the CPU for networks that see images; torch, in float32, for what it cannot do.

    Args:
        network: before taps are put on it.
        preprocessing: of the network.
        fingerprint: of the backbone; part of the name of kept files.
        folder: where exported graphs are kept; None keeps none.
        threads: of one pass; None is one, and as many passes at a time as there are cores: threads
            of one pass wait for each other after every layer, passes do not.
        exports: whether graphs that are not kept yet are made.
        precision: what the runtime computes in; taps are float32 always.
        clock: seconds that never go back.

    Raises:
        NoGatesError: if the network has no SE block.
        PrecisionError: if the runtime does not compute in that precision here.
    """

    name: str

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        *,
        fingerprint: str,
        folder: Path | None = None,
        threads: int | None = None,
        exports: bool = True,
        precision: Precision = "float32",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if precision not in self._precisions():
            raise PrecisionError(
                f"the engine '{self.name}' computes in {' or '.join(self._precisions())} on this "
                f"machine, not in {precision}"
            )
        self._packed = PackedNetwork(network)
        self._preprocessing = preprocessing
        self._precision = precision
        self.reference = TorchEngine(network, preprocessing, torch.device("cpu"), precision)
        self._files, self._exports = GraphFiles(folder, fingerprint), exports
        self._threads = threads or 1
        self.lanes = max(1, cores() // self._threads)
        self._graphs: OrderedDict[Key, Future[Runner | None]] = OrderedDict()
        self._wanted: deque[Key] = deque()
        self._failed: dict[Key, tuple[int, float]] = {}
        """How often, and when it is tried again."""
        self._worker: threading.Thread | None = None
        self._lock, self._clock = threading.Lock(), clock
        self.channels = self.reference.channels

    @abstractmethod
    def _precisions(self) -> tuple[Precision, ...]:
        """Return what the runtime computes in on this machine."""

    @abstractmethod
    def _open(self, content: bytes) -> Runner:
        """Return what runs a graph, given as the bytes of an ONNX file."""

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared pictures of one size.

        Raises:
            NotReadyError: in bfloat16, if the graph may still have to be made, which takes long.
            PrecisionError: in bfloat16, if there is no graph.
        """
        pixels = np.stack(samples)
        key = pixels.shape[1], pixels.shape[2]
        graph = self._graph(key)
        if self._precision == "float32":
            run = graph.result() if graph.done() else None
            return self.reference.embed(samples) if run is None else run(pixels)
        if self._exports and not graph.done():  # else it is read, which is soon done
            raise NotReadyError(
                f"the network is being made ready for {_what(key)}: repeat the request in a minute"
            )
        run = graph.result()
        if run is None:
            raise PrecisionError(
                f"the engine '{self.name}' has no graph for {_what(key)} in {self._precision} (the "
                "log says why): use precision float32, or the engine 'torch'"
            )
        return run(pixels)

    def warm(self, channels: int, side_px: int, *, wait: bool) -> bool:
        """Make ready for pictures of that many channels (3, or 4 with a mask) and that size.

        Returns whether the runtime sees them.
        """
        graph = self._graph((channels, side_px))
        return (wait or graph.done()) and graph.result() is not None

    def _graph(self, key: Key) -> "Future[Runner | None]":
        """Return the graph of that key, on its way if it was not asked for before."""
        with self._lock:
            _, again_s = self._failed.get(key, (0, math.inf))
            if self._clock() >= again_s and self._graphs[key].done():
                del self._graphs[key]
            if key not in self._graphs:
                self._graphs[key] = Future()
                self._wanted.append(key)
                if self._worker is None:
                    self._worker = threading.Thread(target=self._work, name=self.name, daemon=True)
                    self._worker.start()
            self._graphs.move_to_end(key)
            return self._graphs[key]

    def _work(self) -> None:
        """Make what is wanted, one after the other: an export takes all of a core for long."""
        while True:
            with self._lock:
                if not self._wanted:
                    self._worker = None
                    return
                key = self._wanted.popleft()
            run = self._make(key)
            with self._lock:
                if run is None:
                    times = self._failed.get(key, (0, 0.0))[0]
                    self._failed[key] = times + 1, self._clock() + AGAIN_S * 2**times
                else:
                    self._failed.pop(key, None)
                    self._make_room()
                self._graphs[key].set_result(run)

    def _make_room(self) -> None:
        """Let go of graphs for one more; never of what is on its way."""
        ready = [key for key, graph in self._graphs.items() if graph.done() and graph.result()]
        for key in ready[: max(0, len(ready) + 1 - MAX_GRAPHS)]:
            del self._graphs[key]

    def _make(self, key: Key) -> Runner | None:
        try:
            return self._read(key) or self._made(key)
        except Exception as error:  # exporter and runtime raise whatever their layers raise
            if not ending.is_set():  # which ends exports
                instead = "torch does it" if self._precision == "float32" else "they are refused"
                log.warning("no %s engine for %s, %s: %s", self.name, _what(key), instead, error)
            return None

    def _read(self, key: Key) -> Runner | None:
        """Return the kept graph, if there is one that is still right."""
        file = self._files.path(*key)
        if file is None or not file.exists():
            return None
        try:
            return self._checked(file.read_bytes(), key)
        except Exception as error:  # damaged, or of another time
            if not ending.is_set():
                log.warning("the kept graph %s is not used: %s", file, error)
            return None

    def _made(self, key: Key) -> Runner | None:
        if not self._exports:
            return None
        log.info("exporting the network for %s, once", _what(key))
        content = onnx_export.export_apart(self._packed, self._preprocessing, *key)
        run = self._checked(content, key)
        self._files.keep(content, *key)
        return run

    def _checked(self, content: bytes, key: Key) -> Runner:
        """Return what runs the graph. Raises ValueError if it differs from torch in float32."""
        with waited_for():
            run = self._open(content)
            # Not the reference, which may be at work in another thread, or computes in halves.
            apart = TorchEngine(self._packed.unpack(), self._preprocessing, torch.device("cpu"))
            samples = graph_parity.pictures(self._preprocessing, *key)
            ours, wanted = run(np.stack(samples)), apart.embed(samples)
            graph_parity.require(ours, wanted, self._precision, self.name)
            return run


def _what(key: Key) -> str:
    return f"pictures of {key[1]} px" + (" with a mask" if key[0] == 4 else "")
