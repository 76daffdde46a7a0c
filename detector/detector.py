"""A detector: a named, versioned, immutable value that judges images.

Learning, calibrating and setting a threshold each give a new detector with the next version;
judging changes nothing, so any number of readers need no lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isqrt
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from detector import conformal, descriptors, evidence, heatmap, statistics
from detector.descriptors import REGIONAL, BlockRows
from detector.divergence import Divergence, Reference
from detector.embedding import VIEWS, Embedding
from detector.errors import InvalidSpecError, NotCalibratedError, NotFittedError
from detector.evidence import EVIDENCE, Neighbour
from detector.moments import Moments
from detector.sample import Sample
from detector.scorers import SCORERS, Contributions, Distances, Scorer
from detector.spec import Spec
from detector.statistics import Statistics
from detector.verdict import Threshold, Verdict


@dataclass(frozen=True)
class Detector:
    """Spec, mask, what was fitted, sorted calibration scores and threshold.

    ``elsewhere`` is what all but the regional part adds to the score of a typical normal image, the
    median over calibration images; 0 until it is known. The map counts from there.
    ``mask`` says how much each pixel of every image counts; there is one exactly if the spec says
    that it is fixed.
    """

    spec: Spec
    mask: UInt8[np.ndarray, "h w"] | None = None
    version: int = 1
    statistics: Statistics = field(default_factory=dict)
    calibration: Float[np.ndarray, " m"] | None = None
    elsewhere: float = 0.0
    threshold: Threshold | None = None

    @property
    def state(self) -> Literal["created", "fitted", "calibrated"]:
        """How far the detector has come; calibrated means that it has a threshold."""
        if not self.statistics:
            return "created"
        return "fitted" if self.threshold is None else "calibrated"

    @property
    def fitted_images(self) -> int:
        """How many images were fitted."""
        return statistics.images(self.statistics) // (VIEWS if self.spec.options.flips else 1)

    @property
    def calibration_images(self) -> int:
        """How many calibration scores there are."""
        return 0 if self.calibration is None else len(self.calibration)

    def require_fitted(self) -> None:
        """Refuse early what needs a fit.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        if not self.statistics:
            raise NotFittedError(f"detector {self.spec.name!r} is not fitted: fit it first")

    def require_threshold(self) -> Threshold:
        """Return the threshold.

        Raises:
            NotCalibratedError: if there is none yet.
        """
        if self.threshold is None:
            raise NotCalibratedError(
                f"detector {self.spec.name!r} has no threshold: calibrate it or set one"
            )
        return self.threshold

    def rows(self, embedding: Embedding) -> BlockRows:
        """Return the rows of an embedding that this detector looks at.

        Raises:
            InvalidSpecError: if the options name a block that the backbone does not have.
        """
        spec = self.spec
        rows = descriptors.rows(embedding, spec.descriptor, spec.options)
        if not SCORERS[spec.scorer].regional:
            return rows
        if not spec.options.blocks:
            rows = descriptors.beyond(rows, embedding)
        everywhere = replace(spec.options, blocks=())
        return {**rows, **descriptors.rows(embedding, REGIONAL, everywhere)}

    @cached_property
    def _scorer(self) -> Scorer:
        self.require_fitted()
        return SCORERS[self.spec.scorer](self.statistics, self.spec.options)

    def statistics_of(self, embedding: Embedding) -> Statistics:
        """Return what fitting these images would add, to be merged and given to ``learn``."""
        return statistics.of(embedding, self.rows(embedding), self.spec.options)

    def learn(self, new: Statistics, *, extend: bool) -> "Detector":
        """Return a detector fitted to these images, with or without those it had.

        Calibration and threshold are dropped: they belong to what was fitted before.

        Raises:
            DegenerateDataError: if the images define no distance.
        """
        return self._fitted(statistics.merge(self.statistics, new) if extend else new)

    def forget(self, known: Statistics) -> "Detector":
        """Return a detector that never saw these images, which were fitted before.

        Raises:
            DegenerateDataError: if those that are left define no distance.
            ValueError: if more would be forgotten than was seen.
        """
        return self._fitted(statistics.subtract(self.statistics, known))

    def _fitted(self, fitted: Statistics) -> "Detector":
        changed = replace(
            self,
            version=self.version + 1,
            statistics=fitted,
            calibration=None,
            elsewhere=0.0,
            threshold=None,
        )
        _ = changed._scorer  # refuse now what could not be scored later
        return changed

    def contributions(self, embedding: Embedding) -> Contributions:
        """Return each part's share of every image's score, (n, parts).

        Raises:
            NotFittedError: if nothing was fitted.
        """
        return self._scorer.contributions(self.rows(embedding))

    def scores(self, embedding: Embedding) -> Float[np.ndarray, " n"]:
        """Return the score of every image, the sum of its contributions.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        scores: np.ndarray = self.contributions(embedding).sum(axis=1)
        return scores

    def calibrate(self, contributions: Contributions, target: float) -> "Detector":
        """Return a detector calibrated on held-out normal images, with a conformal threshold.

        Args:
            contributions: of those images, (m, parts).
            target: highest false-alarm rate.

        Raises:
            NotFittedError: if nothing was fitted.
            InvalidSpecError: if the target is not in (0, 1).
            InsufficientCalibrationError: if there are too few images for the target.
        """
        self.require_fitted()
        conformal.rank(len(contributions), target)
        others = [index for index, part in enumerate(self._scorer.parts) if part != REGIONAL]
        elsewhere = float(np.median(contributions[:, others].sum(axis=1)))
        scores = np.sort(contributions.sum(axis=1))
        return self._with(calibration=scores, elsewhere=elsewhere).with_target(target)

    def with_target(self, target: float) -> "Detector":
        """Return a detector with the conformal threshold of another false-alarm rate.

        Raises:
            NotCalibratedError: if there are no calibration scores.
            InvalidSpecError: if the target is not in (0, 1).
            InsufficientCalibrationError: if there are too few scores for the target.
        """
        if self.calibration is None:
            raise NotCalibratedError(
                f"detector {self.spec.name!r} has no calibration scores: calibrate it first"
            )
        value = conformal.threshold(self.calibration, target)
        promise = conformal.statement(len(self.calibration), target)
        return self._next(Threshold(value, "conformal", target, promise))

    def with_value(self, value: float) -> "Detector":
        """Return a detector with a threshold set by hand.

        Raises:
            NotFittedError: if nothing was fitted.
            InvalidSpecError: if the value is not finite.
        """
        self.require_fitted()
        if not np.isfinite(value):
            raise InvalidSpecError(f"a threshold must be finite, got {value}")
        above = "unknown: there are no calibration images"
        if self.calibration is not None:
            count = int(np.sum(self.calibration > value))
            above = f"{count} of {len(self.calibration)} calibration images"
        return self._next(
            Threshold(value, "manual", None, f"Set by hand; no promise. Above it: {above}.")
        )

    def _next(self, threshold: Threshold) -> "Detector":
        return self._with(version=self.version + 1, threshold=threshold)

    def _with(self, **changes: Any) -> "Detector":
        """Return a copy with the same moments, and so with the scorer that was made of them."""
        other = replace(self, **changes)
        if "_scorer" in self.__dict__:
            other.__dict__["_scorer"] = self._scorer
        return other

    def judge(self, embedding: Embedding) -> list[Verdict]:
        """Return the verdict on every image; a row's verdict does not depend on the others.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        rows = self.rows(embedding)
        parts, cells = self._scorer.assess(rows)
        scores = parts.sum(axis=1)
        p_values = (
            None if self.calibration is None else conformal.p_values(scores, self.calibration)
        )
        line = None if self.threshold is None else self.threshold.value
        maps = self._maps(cells, len(embedding))
        return [
            Verdict(
                score=float(score),
                contributions=dict(zip(self._scorer.parts, map(float, part), strict=True)),
                threshold=line,
                margin=None if line is None else float(score - line),
                p_value=None if p_values is None else float(p_values[index]),
                flagged=None if line is None else bool(score > line),
                cells=maps[index],
                region=None if maps[index] is None else heatmap.worst_region(maps[index], line),
            )
            for index, (score, part) in enumerate(zip(scores, parts, strict=True))
        ]

    def _maps(self, cells: Distances | None, images: int) -> Sequence[Any] | np.ndarray:
        """Return every image's cells as a square, or None for each if the scorer has no map."""
        if cells is None:
            return [None] * images
        side = isqrt(cells.shape[1])
        return (self.elsewhere + cells).reshape(images, side, side)

    def nearest(self, embedding: Embedding, count: int = 3) -> list[list[Neighbour]]:
        """Return, for every image, the fitted images it is most like; none without evidence."""
        kept = self.statistics.get(EVIDENCE)
        if not isinstance(kept, Sample):
            return [[] for _ in range(len(embedding))]
        return evidence.nearest(kept, embedding, count)

    def divergence(self, embedding: Embedding) -> dict[str, Divergence]:
        """Return how far a batch of images, as a whole, is from the fitted ones, by block.

        For ``regional`` rows the cells of all images are the window. See ``detector.divergence``.

        Raises:
            NotFittedError: if nothing was fitted.
            DegenerateDataError: if there are too few rows.
        """
        self.require_fitted()
        found = {}
        for name, rows in self.rows(embedding).items():
            fitted = self.statistics[name]
            assert not isinstance(fitted, Sample)
            reference = fitted if isinstance(fitted, Moments) else fitted.free
            window = np.asarray(rows, dtype=np.float64).reshape(-1, rows.shape[-1])
            found[name] = Reference(reference).divergence(window[~np.isnan(window[:, 0])])
        return found
