"""A process that runs the command line on a backbone that takes its time with every picture."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from stub_backbone import StubBackbone

import app.bulk.shard_run
from app.cli import cli
from detector.embedder import Embedder
from detector.embedding import Embedding

PAUSE_S = 0.02


class Slow(StubBackbone):
    """So that one can come between."""

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> Embedding:
        """Return the embedding of prepared images, late."""
        time.sleep(PAUSE_S * len(images))
        return super().embed(images)


if __name__ == "__main__":
    app.bulk.shard_run.KEPT_EVERY_S = 0.0
    app.bulk.shard_run.SHARE_KEEPING = 1e9
    Embedder.load = lambda *_, **__: Slow()  # type: ignore[assignment, method-assign]
    cli(sys.argv[1:])
