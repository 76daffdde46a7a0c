"""The OpenVINO engine: an exported graph on the CPU (``models.graph_engine``); extra [openvino].

It computes in bfloat16 where that is asked for and the CPU can (AVX-512 BF16 or AMX). By itself it
would wherever the CPU can, so that a detector's scores changed with the machine: the precision is
said each time. Asked for bfloat16 elsewhere it would take float32 in silence: that is refused.
"""

from queue import Empty, LifoQueue
from typing import Any

import numpy as np
import openvino
import torch

from models.graph_engine import GraphEngine, Runner
from models.precision import Precision
from models.taps import Taps, from_names

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoEngine(GraphEngine):
    """OpenVINO on the CPU for networks that see images; torch for what it cannot do."""

    name = "openvino"

    def _precisions(self) -> tuple[Precision, ...]:
        can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("float32", "bfloat16") if "BF16" in can else ("float32",)

    def _settings(self) -> dict[str, Any]:
        """Return how graphs are compiled: one stream of threads a lane."""
        return {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "NUM_STREAMS": self.lanes,
            "INFERENCE_NUM_THREADS": self.lanes * self._threads,
            # Streams of several graphs, and of other processes, would meet on the same cores.
            "ENABLE_CPU_PINNING": False,
        }

    def _open(self, content: bytes) -> Runner:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(content, b""), "CPU", self._settings())
        names = [output.get_any_name() for output in compiled.outputs]
        idle: LifoQueue[Any] = LifoQueue()  # a request is of one pass at a time

        def run(pixels: np.ndarray) -> Taps:
            try:
                request = idle.get_nowait()
            except Empty:
                request = compiled.create_infer_request()
            answer = request.infer({"pixels": pixels}, share_inputs=True)
            arrays = [torch.from_numpy(answer[index]) for index in range(len(names))]
            idle.put(request)
            return from_names(dict(zip(names, arrays, strict=True)))

        return run
