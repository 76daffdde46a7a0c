"""The ONNX Runtime engine: the same network and taps on a CPU, in a fraction of torch's time.

For every size of picture, with or without a mask, the network is exported once
(``models.onnx_export``), kept in a folder under its fingerprint, and compared with torch on real
photographs before it is used: for every block and statistic,

    max |onnx - torch| <= TOLERANCE * max |torch|

What cannot be exported, or differs more, runs on torch with a warning. So does what is not ready
yet: graphs are read and made in the background, and nobody waits for one who does not ask to.
"""

import atexit
import hashlib
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file
from torch import nn

from models import onnx_export
from models.cores import cores
from models.engines import TorchEngine
from models.onnx_export import from_names, to_names
from models.packed import PackedNetwork
from models.preprocess import Preprocessing
from models.taps import Taps

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
MAX_GRAPHS = 8
"""Most graphs in memory, some tens of megabytes each; those not used for longest go first."""
PHOTOGRAPHS = Path(__file__).parent / "weights" / "photographs.safetensors"
"""Four small photographs (CC0 or public domain; their sources stand in the file's metadata)."""

Key = tuple[int, int]  # channels, side
Session = Any  # onnxruntime's InferenceSession, which has no types

_ending = threading.Event()
atexit.register(_ending.set)


class OnnxEngine:
    """ONNX Runtime on the CPU for networks that see images; torch for what it cannot do.

    Args:
        network: before taps are put on it.
        preprocessing: of the network.
        fingerprint: of the backbone; part of the name of kept files.
        folder: where exported graphs are kept; None keeps none.
        threads: of one pass; None is one, and as many passes at a time as there are cores: threads
            of one pass wait for each other after every layer, passes do not.
        exports: whether graphs that are not kept yet are made.

    Raises:
        NoGatesError: if the network has no SE block.
    """

    name = "onnx"

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        *,
        fingerprint: str,
        folder: Path | None = None,
        threads: int | None = None,
        exports: bool = True,
    ) -> None:
        self._packed = PackedNetwork(network)
        self._preprocessing = preprocessing
        self.reference = TorchEngine(network, preprocessing, torch.device("cpu"))
        self._fingerprint, self._folder, self._exports = fingerprint, folder, exports
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads or 1
        self.lanes = max(1, cores() // (threads or 1))
        self._options.log_severity_level = 3
        self._graphs: OrderedDict[Key, Future[Session | None]] = OrderedDict()
        self._lock, self._exporting = threading.Lock(), threading.Lock()
        self.channels = self.reference.channels

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared pictures of one size."""
        pixels = np.stack(samples)
        graph = self._graph((pixels.shape[1], pixels.shape[2]))
        session = graph.result() if graph.done() else None
        return self.reference.embed(samples) if session is None else _run(session, pixels)

    def warm(self, channels: int, side_px: int, *, wait: bool) -> bool:
        """Make ready for pictures of that many channels (3, or 4 with a mask) and that size.

        Returns whether ONNX Runtime sees them; torch does otherwise.
        """
        graph = self._graph((channels, side_px))
        return (wait or graph.done()) and graph.result() is not None

    def _graph(self, key: Key) -> "Future[Session | None]":
        """Return the graph of that key, on its way if it was not asked for before."""
        with self._lock:
            if key not in self._graphs:
                future: Future[Session | None] = Future()
                self._graphs[key] = future
                while len(self._graphs) > MAX_GRAPHS:
                    self._graphs.popitem(last=False)
                make = threading.Thread(
                    target=self._make, args=(key, future), name="onnx", daemon=True
                )
                make.start()
            self._graphs.move_to_end(key)
            return self._graphs[key]

    def _make(self, key: Key, future: "Future[Session | None]") -> None:
        what = f"pictures of {key[1]} px" + (" with a mask" if key[0] == 4 else "")
        session = None
        try:
            session = self._read(key) or self._made(key, what)
        except Exception as error:  # exporter and runtime raise whatever their layers raise
            if not _ending.is_set():  # which ends exports
                log.warning("no ONNX engine for %s, torch does it: %s", what, error)
        future.set_result(session)

    def _read(self, key: Key) -> Session | None:
        """Return the kept graph, if there is one that is still right."""
        file = self._file(key)
        if file is None or not file.exists():
            return None
        try:
            session = self._open(file.read_bytes())
            self._compare(session, key)
        except Exception as error:  # damaged, or of another time
            log.warning("the kept graph %s is not used: %s", file, error)
            return None
        return session

    def _made(self, key: Key, what: str) -> Session | None:
        if not self._exports:
            return None
        with self._exporting:  # one at a time: an export takes all of a core for many seconds
            log.info("exporting the network for %s, once", what)
            content = onnx_export.export_apart(self._packed, self._preprocessing, *key)
        session = self._open(content)
        self._compare(session, key)
        self._keep(key, content)
        return session

    def _keep(self, key: Key, content: bytes) -> None:
        file = self._file(key)
        if file is None:
            return
        half = file.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(content)
            half.replace(file)
        except OSError as error:
            log.warning("the graph is made anew at the next start, it cannot be kept: %s", error)
            with suppress(OSError):
                half.unlink(missing_ok=True)

    def _open(self, content: bytes) -> Session:
        return onnxruntime.InferenceSession(
            content, self._options, providers=["CPUExecutionProvider"]
        )

    def _file(self, key: Key) -> Path | None:
        if self._folder is None:
            return None
        makers = [f"{package} {version(package)}" for package in ("torch", "onnx", "onnxscript")]
        made = f"{self._fingerprint} {makers} {onnx_export.VERSION}"
        digest = hashlib.sha256(made.encode()).hexdigest()[:16]
        return self._folder / f"{digest}-{key[0]}x{key[1]}.onnx"

    def _compare(self, session: Session, key: Key) -> None:
        """Refuse a graph that differs from torch. Raises ValueError if it does."""
        samples = _photographs(self._preprocessing, *key)
        # Not on the reference, which may be at work in another thread.
        apart = self._packed.unpack()
        reference = TorchEngine(apart, self._preprocessing, torch.device("cpu"))
        ours = to_names(_run(session, np.stack(samples)))
        for name, wanted in to_names(reference.embed(samples)).items():
            scale = float(wanted.nan_to_num().abs().max()) or 1.0
            error = float((ours[name] - wanted).nan_to_num().abs().max()) / scale
            if not error <= TOLERANCE or bool((wanted.isnan() != ours[name].isnan()).any()):
                raise ValueError(f"ONNX differs from torch by {error:.1e} in {name}")


def _run(session: Session, pixels: np.ndarray) -> Taps:
    names = [output.name for output in session.get_outputs()]
    arrays = session.run(None, {"pixels": pixels})
    return from_names(dict(zip(names, map(torch.from_numpy, arrays), strict=True)))


def _photographs(preprocessing: Preprocessing, channels: int, side_px: int) -> list[np.ndarray]:
    pictures = load_file(PHOTOGRAPHS).values()
    samples = [preprocessing.resize(picture.numpy(), side_px) for picture in pictures]
    if channels == 3:
        return samples
    weights = np.zeros((1, side_px, side_px), np.uint8)
    weights[:, side_px // 8 : side_px // 2, side_px // 4 :] = 200
    return [np.concatenate([sample, weights]) for sample in samples]
