"""A past for the console to show: many detectors and scored images, written straight to storage."""

import uuid
from dataclasses import replace
from datetime import timedelta

import numpy as np

from app.clock import now
from app.past.rejudging import word
from app.storage import Storage
from app.storage.audit import By
from app.storage.history import KeptHistory, ScoredImage
from app.storage.version_reader import Stored
from detector.rows import Rows

AT_ONCE, DAYS = 500, 3
BY = By("benchmark")


def seed(storage: Storage, name: str, *, images: int, detectors: int, others: int = 100) -> None:
    """Copy a calibrated detector until there are so many, and give each a past of some days.

    Args:
        storage: of a service that does not run.
        name: of the detector.
        images: scored by it.
        detectors: in all; the copies are called ``line-01`` and so on.
        others: images scored by each copy.
    """
    stored = storage.versions.get(name)
    _score(storage, stored, images)
    for number in range(1, detectors):
        spec = replace(stored.detector.spec, name=f"line-{number:02d}")
        copy = storage.versions.create(replace(stored.detector, spec=spec, version=0), BY)
        _score(storage, copy, others)


def _score(storage: Storage, stored: Stored, images: int) -> None:
    """Write images whose scores are drawn from the calibration's, one in fifty of them odd."""
    detector, rng = stored.detector, np.random.default_rng(0)
    line, known = detector.require_threshold(), detector.require_calibrated().scores
    scores = rng.choice(known, images) + rng.normal(0, known.std() / 4, images)
    scores[::50] += 6 * known.std()
    begin, step = now() - timedelta(days=DAYS), timedelta(days=DAYS) / images
    for start in range(0, images, AT_ONCE):
        said = [
            ScoredImage(
                uuid.uuid4().hex,
                stored.entry.id,
                detector.version,
                begin + at * step,
                f"part-{at:05d}.png",
                f"lot-{at // 500:02d}",
                f"{at:064x}",
                float(scores[at]),
                line.value,
                None,
                word(line, float(scores[at]), ""),
                "",
                0,
            )
            for at in range(start, min(start + AT_ONCE, images))
        ]
        # Not what it looked at: its own version judges again what it has scored by the score alone.
        rows = Rows({"none": np.zeros((len(said), 1), np.float32)})
        KeptHistory(storage.database, storage.blobs).write(
            detector.spec.backbone_fingerprint, said, rows
        )
