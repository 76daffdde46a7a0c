"""A detector: a named, versioned, immutable value that judges images.

Learning, calibrating and drawing a line each give a new detector; judging changes nothing, so any
number of readers need no lock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from detector import divergence, evidence, judging, statistics, thresholds
from detector.calibration import Calibration
from detector.descriptors import REGIONAL
from detector.divergence import Divergence
from detector.embedding import VIEWS, Embedding
from detector.errors import NotCalibratedError, NotFittedError, StaleCalibrationError
from detector.evidence import EVIDENCE, Neighbour
from detector.recipe import Recipe
from detector.rows import Rows
from detector.sample import Sample
from detector.scorers import SCORERS, Contributions, Scorer
from detector.spec import Spec
from detector.statistics import Statistics
from detector.verdict import Threshold, Verdict


@dataclass(frozen=True)
class Detector:
    """Spec, mask and network, what was fitted, calibration and threshold.

    Attributes:
        spec: what it was before it saw an image.
        mask: how much each pixel of every image counts; there is one exactly if the spec says that
            it is fixed.
        network: file of the network that has learned, of a kind whose network does; else empty.
        version: the number it is stored under; 0 until then.
        statistics: what was fitted.
        calibration: scores of held-out images, if there are.
        stale: whether the moments have changed since calibration and threshold were made.
        threshold: where the line is, if it was drawn.
    """

    spec: Spec
    mask: UInt8[np.ndarray, "h w"] | None = None
    version: int = 0
    statistics: Statistics = field(default_factory=dict)
    calibration: Calibration | None = None
    stale: bool = False
    threshold: Threshold | None = None
    network: bytes = field(default=b"", repr=False)

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
        """Raise NotFittedError if nothing was fitted."""
        if not self.statistics:
            raise NotFittedError(f"detector {self.spec.name!r} is not fitted: fit it first")

    def require_threshold(self) -> Threshold:
        """Return the threshold. Raises NotCalibratedError if there is none yet."""
        if self.threshold is None:
            raise NotCalibratedError(
                f"detector {self.spec.name!r} has no threshold: calibrate it or set one"
            )
        return self.threshold

    def require_calibrated(self) -> Calibration:
        """Return the calibration. Raises NotCalibratedError if there are no scores."""
        if self.calibration is None:
            raise NotCalibratedError(
                f"detector {self.spec.name!r} has no calibration scores: calibrate it first"
            )
        return self.calibration

    def require_fresh(self) -> None:
        """Raise StaleCalibrationError if images were fitted or forgotten since the calibration."""
        if self.stale:
            raise StaleCalibrationError(
                f"version {self.version} of detector {self.spec.name!r} has learned or forgotten "
                "images since it was calibrated: its threshold promises nothing; calibrate it "
                "again (recalibrate needs no images), or go on knowingly "
                "with allow_stale (--allow-stale)"
            )

    def rows(self, images: Embedding | Rows) -> Rows:
        """Return the rows of an embedding that this detector looks at; rows are given back.

        Raises:
            InvalidSpecError: if the options name a block that the backbone does not have.
        """
        return images if isinstance(images, Rows) else self.recipe.rows(images)

    @cached_property
    def recipe(self) -> Recipe:
        """What decides which rows it looks at."""
        return Recipe.of(self.spec)

    @cached_property
    def _scorer(self) -> Scorer:
        self.require_fitted()
        return SCORERS[self.spec.scorer](self.statistics, self.spec.options)

    def ready(self) -> None:
        """Prepare to judge, which takes some time, now rather than with the first image.

        Raises:
            NotFittedError: if nothing was fitted.
            DegenerateDataError: if what was fitted defines no distance.
        """
        _ = self._scorer

    def statistics_of(self, images: Embedding | Rows) -> Statistics:
        """Return what fitting these images would add, to be merged and given to ``learn``."""
        return statistics.of(self.rows(images), self.spec.options)

    def learn(self, new: Statistics, *, extend: bool) -> "Detector":
        """Return a detector fitted to these images, with or without those it had.

        Calibration and threshold become stale, or are dropped with what was fitted before.

        Raises:
            DegenerateDataError: if the images define no distance.
        """
        if extend and self.statistics:
            return self._fitted(statistics.merge(self.statistics, new))
        return replace(self, calibration=None, threshold=None)._fitted(new)

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
            statistics=fitted,
            stale=self.calibration is not None or self.threshold is not None,
        )
        changed.ready()  # refuse now what could not be scored later
        return changed

    def contributions(self, images: Embedding | Rows) -> Contributions:
        """Return each part's share of every image's score, (n, parts).

        Raises:
            NotFittedError: if nothing was fitted.
        """
        return self._scorer.contributions(self.rows(images).blocks)

    def scores(self, images: Embedding | Rows) -> Float[np.ndarray, " n"]:
        """Return the score of every image, the sum of its contributions.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        scores: np.ndarray = self.contributions(images).sum(axis=1)
        return scores

    def calibrate(
        self,
        contributions: Contributions,
        target: float | None = None,
        *,
        groups: Sequence[str] = (),
        anomalies: Float[np.ndarray, " a"] | None = None,
    ) -> "Detector":
        """Return a detector calibrated on held-out normal images.

        Args:
            contributions: of those images, (m, parts).
            target: highest false-alarm rate of a conformal threshold; without, there is none yet.
            groups: lot, session or camera of each; empty if unknown.
            anomalies: scores of known anomalies.

        Raises:
            NotFittedError: if nothing was fitted.
            InvalidSpecError: if the target is not in (0, 1).
            InsufficientCalibrationError: if there are too few images for the target.
        """
        self.require_fitted()
        others = [index for index, part in enumerate(self._scorer.parts) if part != REGIONAL]
        calibration = Calibration(
            contributions.sum(axis=1),
            tuple(groups),
            np.zeros(0) if anomalies is None else anomalies,
            float(np.median(contributions[:, others].sum(axis=1))) if len(contributions) else 0.0,
        )
        calibrated = self.having(calibration=calibration, stale=False, threshold=None)
        return calibrated if target is None else calibrated.decide("conformal", {"target": target})

    def decide(
        self,
        method: str,
        parameters: Mapping[str, float],
        *,
        by_group: bool = False,
        review_target: float | None = None,
        allow_stale: bool = False,
    ) -> "Detector":
        """Return a detector with another threshold; see ``detector.thresholds``.

        Raises:
            NotFittedError: if nothing was fitted.
            NotCalibratedError: if the method needs calibration scores and there are none.
            StaleCalibrationError: if those there are belong to other moments.
            InvalidSpecError: if there is no such method or parameter, or a value is out of range.
            InsufficientCalibrationError: if there are too few scores for what is asked.
            MissingAnomaliesError: if the method needs known anomalies and there are none.
        """
        self.require_fitted()
        if method != "manual":
            self.require_calibrated()
            if not allow_stale:
                self.require_fresh()
        known = Calibration(np.zeros(0)) if self.calibration is None else self.calibration
        threshold = thresholds.choose(
            method, known, parameters, by_group=by_group, review_target=review_target
        )
        return self.having(threshold=threshold, stale=self.stale and self.calibration is not None)

    def having(self, **changes: Any) -> "Detector":
        """Return a copy with the same moments, and so with the scorer that was made of them."""
        other = replace(self, **changes)
        if "_scorer" in self.__dict__:
            other.__dict__["_scorer"] = self._scorer
        return other

    def judge(self, images: Embedding | Rows, groups: Sequence[str] = ()) -> list[Verdict]:
        """Return the verdict on every image; a row's verdict does not depend on the others.

        Args:
            images: what to judge.
            groups: lot, session or camera of each, for lines of their own; empty if unknown.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        return judging.verdicts(
            self._scorer, self.rows(images), self.calibration, self.threshold, groups
        )

    def nearest(self, images: Embedding | Rows, count: int = 3) -> list[list[Neighbour]]:
        """Return, for every image, the fitted images it is most like; none without evidence."""
        kept = self.statistics.get(EVIDENCE)
        rows = self.rows(images)
        if not isinstance(kept, Sample):
            return [[] for _ in range(len(rows))]
        return evidence.nearest(kept, rows, count)

    def divergence(self, images: Embedding | Rows) -> dict[str, Divergence]:
        """Return how far a batch of images, as a whole, is from the fitted ones, by block.

        For ``regional`` rows the cells of all images are the window. See ``detector.divergence``.

        Raises:
            NotFittedError: if nothing was fitted.
            DegenerateDataError: if there are too few rows.
        """
        self.require_fitted()
        return divergence.by_block(self.statistics, self.rows(images))
