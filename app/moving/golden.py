"""Golden images: pictures that travel with a detector, and must have the same scores there.

Some are thumbnails of fitted images, as a normal image is scored most often; the others are drawn
by formula, far from anything fitted, so that a difference anywhere in the network shows.

They go the whole way that any image goes: decode, resize, backbone, judge. A network that has
learned is shown one prepared sample instead. Scores of one image
differ a little between machines, for sums are rounded in another order: see ``TOLERANCE``.
"""

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import ParityError
from app.images.sources import from_bytes
from app.scoring.arriving import Look
from app.service import Service
from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import SampleError
from detector.evidence import EVIDENCE
from detector.kinds.learned import Learned
from detector.rows import Rows
from detector.sample import Sample

TOLERANCE = 1e-3
THUMBNAILS = 8
_WIDTH_PX, _HEIGHT_PX = 320, 240  # neither square nor a backbone's side: the resize counts too
_FULL_MASK = np.full((16, 16), 255, np.uint8)
_SMALL = 0.01
"""Scores below this share of the largest are compared to it: near 0 relative says nothing."""

Pixels = NDArray[np.uint8]


def pictures(detector: Detector, min_side_px: int) -> dict[str, bytes]:
    """Return PNG files by how they were made: drawn, and thumbnails if the detector has some."""
    y, x = np.mgrid[:_HEIGHT_PX, :_WIDTH_PX]
    down, across = y / _HEIGHT_PX, x / _WIDTH_PX
    disc = (x - 160) ** 2 + (y - 120) ** 2 < 70**2
    drawn: dict[str, Pixels] = {
        "synthetic: ramp, red across, green down, blue both": _uint8(
            np.stack([across, down, (across + down) / 2], axis=2)
        ),
        "synthetic: diagonal stripes of 16 px": _grey((x + y) // 16 % 2),
        "synthetic: bright disc of radius 70 px on dark ground": _grey(0.2 + 0.6 * disc),
        "synthetic: noise of NumPy's PCG64, seed 0": np.random.default_rng(0).integers(
            0, 256, (_HEIGHT_PX, _WIDTH_PX, 3), dtype=np.uint8
        ),
    }
    kept = detector.statistics.get(EVIDENCE)
    if isinstance(kept, Sample):
        for place, thumbnail in enumerate(kept.columns["thumbnail"][:THUMBNAILS]):
            if min(thumbnail.shape[1:]) >= min_side_px:
                drawn[f"thumbnail {place} of the evidence"] = np.moveaxis(thumbnail, 0, 2)
    return {made: _png(pixels) for made, pixels in drawn.items()}


def arrays(learned: Learned) -> dict[str, bytes]:
    """Return what a network that has learned is shown in place of pictures, as NumPy files.

    It is prepared: what a stranger's file becomes is the kind's own business, and the same wherever
    the packages are.
    """
    file = io.BytesIO()
    np.save(file, learned.preparation.blank())
    return {f"blank {learned.kind.sample}": file.getvalue()}


async def score(
    service: Service, detector: Detector, files: Sequence[bytes]
) -> tuple[list[float], Rows]:
    """Return the scores that images have here, and their rows.

    A detector that takes a mask with every image is given one that leaves out nothing.

    Raises:
        SampleError, InferenceError: if one of them cannot be scored.
        UnavailableError: if the service is stopping.
    """
    learned = await service.networks.of(detector)
    if learned is not None:
        return await service.in_pool(partial(_score_arrays, detector, learned, files))
    spec = detector.spec
    look = Look(spec.image_size, _FULL_MASK if spec.mask == "request" else detector.mask)
    sources = [from_bytes(f"golden image {place}", file) for place, file in enumerate(files)]
    found: list[Embedding] = []
    async for source, outcome in service.ingest.embed_all(sources, look):
        if isinstance(outcome, SampleError):
            raise type(outcome)(f"{source.name}: {outcome}") from outcome
        if not isinstance(outcome, Embedding):
            raise outcome
        found.append(outcome)

    return await service.in_pool(partial(_judge, detector, found))


def _score_arrays(
    detector: Detector, learned: Learned, files: Sequence[bytes]
) -> tuple[list[float], Rows]:
    samples = [np.load(io.BytesIO(file)) for file in files]
    return _judge(detector, [learned.embedder.embed([sample]) for sample in samples])


def _judge(detector: Detector, found: Sequence[Embedding]) -> tuple[list[float], Rows]:
    rows = detector.rows(Embedding.concatenate(found))
    return [float(each) for each in detector.scores(rows)], rows


def check(told: Sequence[float], here: Sequence[float], tolerance: float) -> float:
    """Return the largest relative difference of scores.

    Raises:
        ParityError: if it is beyond the tolerance told, or ours.
    """
    theirs, ours = np.array(told), np.array(here)
    scale = np.maximum(np.abs(theirs), _SMALL * np.abs(theirs).max())
    with np.errstate(all="ignore"):
        differences = np.where(theirs == ours, 0.0, np.abs(ours - theirs) / scale)
    place = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    worst, most = float(differences[place]), min(tolerance, TOLERANCE)
    if not worst <= most:
        raise ParityError(
            f"golden image {place} scores {here[place]:.6g} here and {told[place]:.6g} where the "
            f"detector was exported, a relative difference of {worst:.2g} (at most {most:g}): its "
            "threshold would not mean the same. Import it where device and versions of the "
            "libraries are as there, or fit it anew here"
        )
    return worst


def _uint8(values: NDArray[np.float64]) -> Pixels:
    return np.rint(values * 255).astype(np.uint8)


def _grey(values: NDArray[np.generic]) -> Pixels:
    return np.repeat(_uint8(values.astype(np.float64))[:, :, None], 3, axis=2)


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()
