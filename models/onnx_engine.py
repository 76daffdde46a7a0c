"""The ONNX Runtime engine: an exported graph on the CPU, in float32 (``models.graph_engine``)."""

import numpy as np
import onnxruntime
import torch

from models.graph_engine import GraphEngine, Runner
from models.precision import Precision
from models.taps import Taps, from_names


class OnnxEngine(GraphEngine):
    """ONNX Runtime on the CPU for networks that see images; torch for what it cannot do."""

    name = "onnx"

    def _precisions(self) -> tuple[Precision, ...]:
        return ("float32",)

    def _open(self, content: bytes) -> Runner:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def run(pixels: np.ndarray) -> Taps:
            arrays = session.run(None, {"pixels": pixels})
            return from_names(dict(zip(names, map(torch.from_numpy, arrays), strict=True)))

        return run
