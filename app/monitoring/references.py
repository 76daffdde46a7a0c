"""What windows are tested against: held-out calibration rows that were kept, or rows of traffic.

The axes come of fitted images, of which a detector keeps some squeezes as evidence. The reference
is of images below the line, as windows are, and thinned as the traffic is.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from app.errors import RowsNotKeptError
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Monitored
from app.monitoring.windows import Full
from app.storage import Storage
from app.storage.cache import Cache
from app.storage.detector_files import folder
from app.storage.lineage import Image
from app.storage.row_chunks import RowChunks
from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.drift.window import window_size
from detector.drift.window_images import LEAST_CALIBRATION, WindowReference
from detector.drift.window_space import Axes
from detector.errors import DegenerateDataError, InvalidSpecError
from detector.evidence import EVIDENCE
from detector.moments import Moments
from detector.places import STATISTICS
from detector.sample import Sample
from detector.tensor_file import pack, unpack

MOST = 400
"""Images of a reference: more are hardly a better one, and cost time with every window."""
AT_HAND = 8
"""References at hand, some 15 MB each."""
LEAST_FITTED = 8
_KIND, _FORMAT = "window reference", 1


@dataclass(frozen=True, slots=True)
class _Rows:
    """Images in order of time, those above the line only counted."""

    squeeze: np.ndarray
    scores: np.ndarray
    looks: np.ndarray | None
    flagged: int = 0


class References:
    """Reads and keeps them; ``of`` is used by one thread, the others by another."""

    def __init__(self, storage: Storage, blocks: Mapping[str, int]) -> None:
        self._versions, self._blobs = storage.versions, storage.blobs
        self._chunks = RowChunks(storage.blobs)
        self._blocks = blocks
        self._at_hand: Cache[WindowReference] = Cache(AT_HAND)

    def why_not(self, stored: Stored, monitor: Monitor) -> str:
        """Return why windows cannot be tested against a monitor's baseline; empty if they can."""
        known, state = monitor.reference, monitor.state
        try:
            window_size(state.window_promise)
            _axes(stored.detector)
        except (InvalidSpecError, DegenerateDataError) as error:
            return f"Windows are not tested: {error}."
        if known.of == "traffic":
            return "" if known.blob else _FEW
        images = self._versions.calibration_images(stored.entry)
        if not images or not all(image.rows_blob for image in images):
            return (
                "Windows are not tested: the rows of the calibration images were not kept "
                "(GATEWATCH_KEEP_FITTED_ROWS); calibrate again, or rebaseline."
            )
        scores = stored.detector.require_calibrated().scores
        left = int(np.sum(scores[state.thinning.kept(len(scores))] < state.line))
        if left < LEAST_CALIBRATION:
            return (
                f"Windows are not tested: {left} calibration images are below the line and far "
                f"enough apart, and {LEAST_CALIBRATION} are needed; calibrate with more."
            )
        return ""

    def of(self, full: Full) -> WindowReference:
        """Return the reference of a window.

        Raises:
            InsufficientCalibrationError, InvalidSpecError, DegenerateDataError: if it cannot be.
            RowsNotKeptError, MissingBlobError, ArtefactError: if its rows cannot be read.
            StorageUnavailableError
        """
        key = f"{full.stored.entry.id}/{full.reference.epoch}/{full.line!r}"
        return self._at_hand.get(key) or self._at_hand.keep(key, self._read(full))

    def keep(self, stored: Stored, images: Sequence[Monitored], line: float) -> str:
        """Keep the squeezes of traffic; return the name of the blob, none if they are too few.

        Those above the line are only counted later. Whoever replaces a state removes nothing: it
        may yet fail; what no state names ``storage.sweep`` removes.
        """
        images = images[-MOST:]
        if sum(image.score < line for image in images) < LEAST_CALIBRATION:
            return ""
        name = f"{folder(stored.entry.id)}/drift/{uuid.uuid4().hex}"
        tensors = {
            "squeeze": np.stack([image.squeeze for image in images]),
            "scores": np.array([image.score for image in images]),
            "looks": np.array([image.look for image in images], dtype=np.float64),
        }
        self._blobs.put(name, pack(_KIND, _FORMAT, {}, tensors))
        return name

    def _read(self, full: Full) -> WindowReference:
        rows = self._traffic(full) if full.reference.blob else self._calibration(full)
        width = rows.squeeze.shape[1]
        blocks = _blocks(full.stored.detector) or self._blocks
        if sum(blocks.values()) != width:
            blocks = {"all": width}
        below = np.flatnonzero(rows.scores < full.line)[-MOST:]
        return WindowReference(
            _axes(full.stored.detector),
            rows.squeeze[below],
            rows.scores[below],
            full.line,
            blocks,
            rows.looks[below] if full.looks and rows.looks is not None else None,
            rows.flagged,
        )

    def _traffic(self, full: Full) -> _Rows:
        _, tensors = unpack(_KIND, _FORMAT, self._blobs.get(full.reference.blob))
        scores = tensors["scores"]
        flagged = int(np.sum(scores > full.line))
        return _Rows(tensors["squeeze"], scores, tensors["looks"], flagged)

    def _calibration(self, full: Full) -> _Rows:
        """Read the last calibration images that a thinning leaves, and judge them again."""
        images = self._versions.calibration_images(full.stored.entry)
        which = full.thinning.kept(len(images))[-MOST:]
        parts = [self._part(full, [*part]) for part in _by_blob([images[i] for i in which])]
        if not parts:
            raise RowsNotKeptError("the calibration images are not listed any more: calibrate")
        looks = [part.looks for part in parts if part.looks is not None]
        scores = np.concatenate([part.scores for part in parts])
        return _Rows(
            np.concatenate([part.squeeze for part in parts]),
            scores,
            np.concatenate(looks) if len(looks) == len(parts) else None,
            int(np.sum(scores > full.line)),
        )

    def _part(self, full: Full, images: Sequence[Image]) -> _Rows:
        chunk = self._chunks.read(images[0].rows_blob)
        rows = chunk.take([image.row for image in images])
        if rows is None or rows.squeeze is None:
            raise RowsNotKeptError("the calibration images' squeezes were not kept: calibrate")
        rows = rows.take(slice(None, None, chunk.views))  # not mirrored
        assert rows.squeeze is not None
        looks = None if rows.inputs is None else np.asarray(rows.inputs, dtype=np.float64)
        return _Rows(rows.squeeze, full.stored.detector.scores(rows), looks)


_FEW = (
    f"Windows are not tested: of the images that became the baseline, fewer than "
    f"{LEAST_CALIBRATION} were still at hand with their rows; rebaseline later, or calibrate."
)


def _by_blob(images: Sequence[Image]) -> list[list[Image]]:
    """Return images in their order, those of a file together."""
    return [list(part) for _, part in groupby(images, key=lambda image: image.rows_blob)]


def _blocks(detector: Detector) -> dict[str, int]:
    """Return the channels of each block of a network of the detector's own; else none."""
    statistics = STATISTICS.get(detector.spec.descriptor, 1)
    if not detector.network:
        return {}
    return {
        block: part.mean.shape[0] // statistics
        for block, part in detector.statistics.items()
        if isinstance(part, Moments)
    }


def _axes(detector: Detector) -> Axes:
    """Return the axes of fitted images.

    Raises:
        DegenerateDataError: if too few are known, or they do not vary.
    """
    kept = detector.statistics.get(EVIDENCE)
    if not isinstance(kept, Sample) or len(kept) < LEAST_FITTED:
        raise DegenerateDataError(
            f"the detector keeps fewer than {LEAST_FITTED} fitted images as evidence (option "
            "evidence): fit with more"
        )
    return Axes.of(kept.columns["squeeze"])
