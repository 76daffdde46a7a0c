"""The ONNX Runtime engine: the same network and taps on a CPU, in a fraction of torch's time.

For every size of picture, with or without a mask, the network is exported once
(``models.onnx_export``), kept in a folder under its fingerprint, and compared with torch on real
photographs before it is used: for every block and statistic,

    max |onnx - torch| <= TOLERANCE * max |torch|

What cannot be exported, or differs, runs on torch with a warning: an engine may cost time, never
change an answer. So does what is not ready yet: a size that was not asked for before is exported in
the background.
"""

import copy
import hashlib
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file
from torch import nn

from models import onnx_export
from models.engines import TorchEngine
from models.onnx_export import from_names, to_names
from models.preprocess import Preprocessing
from models.taps import Taps

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
PHOTOGRAPHS = Path(__file__).parent / "weights" / "photographs.safetensors"
"""Four small photographs (CC0 or public domain; their sources stand in the file's metadata)."""

Key = tuple[int, int]  # channels, side


class OnnxEngine:
    """ONNX Runtime on the CPU for networks that see images; torch for what it cannot do.

    Args:
        network: as it was loaded, without taps; nobody else uses it.
        preprocessing: of the network.
        reference: torch's engine of a copy of it.
        fingerprint: of the backbone; part of the name of kept files.
        folder: where exported graphs are kept; None keeps none.
        threads: of one pass; None leaves the runtime's choice.
    """

    name = "onnx"

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        reference: TorchEngine,
        *,
        fingerprint: str,
        folder: Path | None = None,
        threads: int | None = None,
    ) -> None:
        self._network, self._preprocessing, self._reference = network, preprocessing, reference
        self._fingerprint, self._folder = fingerprint, folder
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads or 0
        self._options.log_severity_level = 3
        self._sessions: dict[Key, onnxruntime.InferenceSession | None] = {}
        self._begun: set[Key] = set()
        self._making = threading.Lock()
        self.channels = reference.channels

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared pictures of one size."""
        pixels = np.stack(samples)
        key = (pixels.shape[1], pixels.shape[2])
        if not self.warm(*key, wait=False):
            return self._reference.embed(samples)
        session = self._sessions[key]
        assert session is not None
        return _run(session, pixels)

    def warm(self, channels: int, side_px: int, *, wait: bool) -> bool:
        """Make ready for pictures of that many channels (3, or 4 with a mask) and that size.

        Returns whether ONNX Runtime sees them; torch does otherwise. Without ``wait`` a graph that
        was never made is made in the background, and torch does until then.
        """
        key = (channels, side_px)
        if key not in self._begun:
            self._begun.add(key)
            file = self._file(*key)
            if wait or (file is not None and file.exists()):
                self._make(*key)
            else:
                threading.Thread(target=self._make, args=key, name="onnx", daemon=True).start()
        if wait:
            with self._making:
                pass  # whoever began it before has made it now
        return self._sessions.get(key) is not None

    def _make(self, channels: int, side_px: int) -> None:
        with self._making:  # one at a time: an export takes all of a core for many seconds
            self._sessions[channels, side_px] = self._ready(channels, side_px)

    def _ready(self, channels: int, side_px: int) -> onnxruntime.InferenceSession | None:
        what = f"pictures of {side_px} px" + (" with a mask" if channels == 4 else "")
        try:
            session = self._session(channels, side_px)
            worst = self._difference(session, channels, side_px)
        except Exception:  # exporter and runtime raise whatever their layers raise
            log.warning("no ONNX engine for %s, torch does it", what, exc_info=True)
            return None
        if not worst <= TOLERANCE:
            log.warning("ONNX differs from torch by %.1e on %s: torch does it", worst, what)
            return None
        return session

    def _session(self, channels: int, side_px: int) -> onnxruntime.InferenceSession:
        file = self._file(channels, side_px)
        if file is not None and file.exists():
            try:
                return self._open(file.read_bytes())
            except Exception:
                log.warning("the kept graph %s cannot be read, it is made anew", file)
        log.info("exporting the network for pictures of %d px, once", side_px)
        content = onnx_export.export_apart(self._network, self._preprocessing, side_px, channels)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            half = file.with_suffix(f".{os.getpid()}.tmp")
            half.write_bytes(content)
            half.replace(file)
        return self._open(content)

    def _open(self, content: bytes) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(
            content, self._options, providers=["CPUExecutionProvider"]
        )

    def _file(self, channels: int, side_px: int) -> Path | None:
        if self._folder is None:
            return None
        # What makes the graph: weights and preprocessing, and the exporter's version.
        made = f"{self._fingerprint} {torch.__version__} {onnx_export.VERSION}"
        digest = hashlib.sha256(made.encode()).hexdigest()[:16]
        return self._folder / f"{digest}-{channels}x{side_px}.onnx"

    def _difference(
        self, session: onnxruntime.InferenceSession, channels: int, side_px: int
    ) -> float:
        """Return the largest difference from torch, relative to each statistic's largest value."""
        samples = _photographs(self._preprocessing, channels, side_px)
        # Not on the reference, which may be at work in another thread.
        apart = copy.deepcopy(self._network)
        reference = TorchEngine(apart, self._preprocessing, torch.device("cpu"))
        ours = to_names(_run(session, np.stack(samples)))
        worst = 0.0
        for name, wanted in to_names(reference.embed(samples)).items():
            scale = float(wanted.nan_to_num().abs().max()) or 1.0
            nans_differ = bool((wanted.isnan() != ours[name].isnan()).any())
            error = float((ours[name] - wanted).nan_to_num().abs().max())
            worst = max(worst, torch.inf if nans_differ else error / scale)
        return worst


def _run(session: onnxruntime.InferenceSession, pixels: np.ndarray) -> Taps:
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
