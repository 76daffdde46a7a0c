"""What a detector holds in memory, against the pages and the setting that say it."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.settings import Settings
from detector import artefact
from detector.detector import Detector
from detector.embedder import Embedder
from detector.spec import DEFAULT_IMAGE_SIZE, Spec

PAGE = Path(__file__).parents[2] / "docs" / "detection.md"


def _held_mb(fitted: bytes) -> float:
    """Return what is allocated for a detector that was read and is ready to score."""
    tracemalloc.start()
    try:
        detector = artefact.read_fit(fitted)
        detector.ready()
        return tracemalloc.get_traced_memory()[0] / 1e6
    finally:
        tracemalloc.stop()


def test_a_default_detector_weighs_what_is_said(
    embedder: Embedder, photographs: list[NDArray[np.uint8]]
) -> None:
    """Reference: allocations; of evidence, 1.3 MB at 64 images, there is next to nothing here."""
    side = DEFAULT_IMAGE_SIZE
    seen = embedder.embed([embedder.prepare(pixels, side) for pixels in photographs])
    detector = Detector(Spec("weighed", embedder.name, embedder.fingerprint))
    held_mb = _held_mb(
        artefact.fit_bytes(detector.learn(detector.statistics_of(seen), extend=False))
    )
    setting = Settings.model_fields["cached_detectors"]
    for text in (setting.description or "", PAGE.read_text()):
        (said,) = re.findall(r"(\d+) MB (?:each|of arrays in memory)", text)
        assert held_mb + 1.3 == pytest.approx(float(said), rel=0.07)
    assert f"`GATEWATCH_CACHED_DETECTORS` says, {setting.default} by default" in PAGE.read_text()
