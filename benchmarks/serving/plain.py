"""What is compared with: a plain FastAPI handler around the same network, as many would write it.

    python -m benchmarks.serving.plain PICTURE... --port PORT

A raw body to one score: Pillow decodes and resizes, the network runs in torch eager (channels
last, inference mode, one thread a pass: requests run beside each other in FastAPI's thread pool),
its pooled features are compared with those of the pictures by Mahalanobis' distance. No batches, no
admission.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import uvicorn
from fastapi import Body, FastAPI
from numpy.typing import NDArray
from PIL import Image

from models.preprocess import LITE0
from models.se_lite0 import se_lite0

SIDE_PX = 256
RIDGE = 1e-3


class Plain:
    """The network and what was learned of normal pictures."""

    def __init__(self, pictures: list[Path]) -> None:
        self._network = se_lite0().to(memory_format=torch.channels_last)
        normal = np.stack([self.features(path.read_bytes()) for path in pictures])
        covariance = np.cov(normal, rowvar=False)
        scale = np.trace(covariance) / len(covariance)
        self._mean = normal.mean(axis=0)
        self._precision = np.linalg.inv(covariance + RIDGE * scale * np.eye(len(covariance)))

    @torch.inference_mode()
    def features(self, content: bytes) -> NDArray[np.float64]:
        """Return the pooled features of an image file, (320,)."""
        image = Image.open(io.BytesIO(content)).convert("RGB")
        small = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None]
        x = LITE0.normalise(pixels).contiguous(memory_format=torch.channels_last)
        pooled: NDArray[np.float64] = self._network(x).mean(dim=(2, 3))[0].double().numpy()
        return pooled

    def score(self, content: bytes) -> float:
        """Return the distance of an image file's features from the normal ones."""
        apart = self.features(content) - self._mean
        return float(np.sqrt(apart @ self._precision @ apart))


def create_app(score_of: Callable[[bytes], float]) -> FastAPI:
    """Return the application that answers an image file with its score."""
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/score")
    def score(content: Annotated[bytes, Body(media_type="image/*")]) -> dict[str, float]:
        return {"score": score_of(content)}

    return app


def main() -> None:
    """Learn from the pictures, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    uvicorn.run(create_app(Plain(options.pictures).score), port=options.port, access_log=False)


if __name__ == "__main__":
    main()
