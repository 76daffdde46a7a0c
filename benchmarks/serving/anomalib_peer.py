"""What is compared with: anomalib's own inferencers behind a FastAPI handler.

    python -m benchmarks.serving.anomalib_peer torch|openvino PICTURE... --port PORT

A raw body to one score: Pillow decodes and resizes, and ``predict`` of anomalib's inferencer does
the rest, as its documentation shows. The model is PaDiM on a ResNet-18, which is small as those
for a CPU are, as anomalib configures it; it is exported by anomalib and read again by the
inferencer.

The network's weights are random, from a fixed seed: there is nothing to fetch them from, and any
others take as long. Its scores are worth nothing, so only time is compared.
"""

import argparse
import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image

from benchmarks.serving import plain

SIDE_PX = 256
SEED = 0


def picture(content: bytes) -> Image.Image:
    """Return the picture of a file, as large as the model wants it."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)


def padim(pictures: list[Path]) -> Any:
    """Return a PaDiM that has learned from pictures, by anomalib's own steps."""
    from anomalib.models import Padim

    torch.manual_seed(SEED)
    size = Padim.configure_pre_processor((SIDE_PX, SIDE_PX))
    model = Padim(backbone="resnet18", pre_trained=False, pre_processor=size).train()
    with torch.no_grad():
        for path in pictures:
            pixels = np.array(picture(path.read_bytes()), np.float32) / 255
            model.model(model.pre_processor(torch.from_numpy(pixels).permute(2, 0, 1)[None]))
        model.fit()
    return model.eval()


def torch_inferencer(model: Any, folder: Path) -> Any:
    """Return the model as anomalib's users have it in torch."""
    from anomalib.deploy import TorchInferencer

    os.environ["TRUST_REMOTE_CODE"] = "1"  # the file is our own, of a moment ago
    return TorchInferencer(model.to_torch(folder), device="cpu")


def openvino_inferencer(model: Any, folder: Path) -> Any:
    """Return the model as anomalib's users have it on Intel's CPUs."""
    from anomalib.deploy import OpenVINOInferencer

    path = model.to_openvino(folder, input_size=(SIDE_PX, SIDE_PX))
    with contextlib.chdir(folder):  # it makes a cache where it is
        return OpenVINOInferencer(path, device="CPU")


KINDS: dict[str, tuple[Callable[[Any, Path], Any], AbstractContextManager[Any]]] = {
    "torch": (torch_inferencer, contextlib.nullcontext()),
    "openvino": (openvino_inferencer, threading.Lock()),
}
"""Name -> how the inferencer is made, and what is held while it predicts.

In torch requests run beside each other, one thread a pass. OpenVINO's inferencer fails when it is
asked twice at once, but uses every core for one picture. Several of one thread each are no faster.
"""


def create_app(inferencer: Any, turn: AbstractContextManager[Any]) -> FastAPI:
    """Return the application."""

    def score(content: bytes) -> float:
        image = picture(content)
        with turn:
            return float(inferencer.predict(image).pred_score.item())

    return plain.create_app(score)


def main() -> None:
    """Learn from the pictures, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made, turn = KINDS[options.kind]
    with tempfile.TemporaryDirectory() as folder:
        inferencer = made(padim(options.pictures), Path(folder))
        uvicorn.run(create_app(inferencer, turn), port=options.port, access_log=False)


if __name__ == "__main__":
    main()
