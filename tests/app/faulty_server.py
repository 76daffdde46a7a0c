"""A server process on a backbone that obeys its pictures: black is slow, white loses the device."""

import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from stub_backbone import StubBackbone

from app import serving
from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Telemetry
from detector.embedding import Embedding
from detector.errors import DeviceLostError

BLACK, DIM, WHITE = 5, 60, 250
"""Brightest level of a black picture and of a dim one; darkest of a white one."""
SLOW_S = {BLACK: 0.5, DIM: 0.05}
"""What a black picture takes, and a dim one."""


class Obedient(StubBackbone):
    """One picture at a time."""

    best_batch = 1

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> Embedding:
        """Return the embedding of prepared images, some of them late, or none any more."""
        if min(image.min() for image in images) >= WHITE:
            raise DeviceLostError("CUDA error: device-side assert triggered")
        brightest = max(image.max() for image in images)
        time.sleep(next((s for level, s in SLOW_S.items() if brightest <= level), 0.0))
        return super().embed(images)


def main() -> bool:
    """Serve as the command line does; return whether it ended in good order."""
    settings = Settings(port=int(sys.argv[-1]))
    storage = Storage.open(settings.data_dir)
    service = Service(settings, Obedient(), storage, Telemetry())  # type: ignore[arg-type]
    return serving.serve(create_app(settings, service), settings)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
