"""A detector: a named, versioned, immutable value that judges images.

Learning, calibrating and setting a threshold each give a new detector with the next version;
judging changes nothing, so any number of readers need no lock.
"""

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from detector import conformal
from detector.descriptors import DESCRIPTORS, BlockRows
from detector.embedder import Embedding
from detector.errors import InvalidSpecError, NotCalibratedError, NotFittedError
from detector.moments import BlockMoments, Moments, merge
from detector.scorers import SCORERS, Scorer

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"  # part of a file name, and of a URL
MIN_IMAGE_SIZE, DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE = 64, 256, 1024


@dataclass(frozen=True, slots=True)
class Spec:
    """What a detector is before it has seen an image.

    Raises:
        InvalidSpecError: if name, scorer, descriptor or image size is not one that exists.
    """

    name: str
    backbone: str
    backbone_fingerprint: str
    scorer: str = "gaussian"
    descriptor: str = ""
    image_size: int = DEFAULT_IMAGE_SIZE

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise InvalidSpecError(f"the name {self.name!r} does not match {NAME}")
        if self.scorer not in SCORERS:
            raise InvalidSpecError(f"no scorer {self.scorer!r}; there is: {', '.join(SCORERS)}")
        if not self.descriptor:
            object.__setattr__(self, "descriptor", SCORERS[self.scorer].default_descriptor)
        if self.descriptor not in DESCRIPTORS:
            known = ", ".join(DESCRIPTORS)
            raise InvalidSpecError(f"no descriptor {self.descriptor!r}; there is: {known}")
        if not MIN_IMAGE_SIZE <= self.image_size <= MAX_IMAGE_SIZE:
            bounds = f"{MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}"
            raise InvalidSpecError(f"image_size must be {bounds} px, got {self.image_size}")


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the line is drawn and why; an image is anomalous when its score lies above it."""

    value: float
    method: Literal["conformal", "manual"]
    target: float | None
    statement: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says of one image; the last four are None until it is calibrated.

    The contributions of the blocks sum to the score. ``margin`` is score - threshold.
    """

    score: float
    contributions: dict[str, float]
    threshold: float | None
    margin: float | None
    p_value: float | None
    flagged: bool | None

    @property
    def word(self) -> Literal["normal", "anomalous", "uncalibrated"]:
        """The verdict in one word."""
        if self.flagged is None:
            return "uncalibrated"
        return "anomalous" if self.flagged else "normal"


@dataclass(frozen=True)
class Detector:
    """Spec, moments per block, sorted calibration scores and threshold."""

    spec: Spec
    version: int = 1
    moments: BlockMoments = field(default_factory=dict)
    calibration: Float[np.ndarray, " m"] | None = None
    threshold: Threshold | None = None

    @property
    def state(self) -> Literal["created", "fitted", "calibrated"]:
        """How far the detector has come; calibrated means that it has a threshold."""
        if not self.moments:
            return "created"
        return "fitted" if self.threshold is None else "calibrated"

    @property
    def fitted_images(self) -> int:
        """How many images the moments hold."""
        return next(iter(self.moments.values())).n if self.moments else 0

    @property
    def calibration_images(self) -> int:
        """How many calibration scores there are."""
        return 0 if self.calibration is None else len(self.calibration)

    def require_fitted(self) -> None:
        """Refuse early what needs a fit.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        if not self.moments:
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
        """Return the rows of an embedding under this detector's descriptor."""
        return DESCRIPTORS[self.spec.descriptor](embedding)

    @cached_property
    def _scorer(self) -> Scorer:
        self.require_fitted()
        return SCORERS[self.spec.scorer](self.moments)

    def moments_of(self, embedding: Embedding) -> BlockMoments:
        """Return the moments of these images, to be merged and given to ``learn``."""
        return {block: Moments.of(rows) for block, rows in self.rows(embedding).items()}

    def learn(self, new: BlockMoments, *, extend: bool) -> "Detector":
        """Return a detector fitted to these moments, with or without those it had.

        Calibration and threshold are dropped: they belong to the old moments.

        Raises:
            DegenerateDataError: if the images define no distance.
        """
        fitted = replace(
            self,
            version=self.version + 1,
            moments=merge(self.moments, new) if extend else new,
            calibration=None,
            threshold=None,
        )
        _ = fitted._scorer  # refuse now what could not be scored later
        return fitted

    def scores(self, embedding: Embedding) -> Float[np.ndarray, " n"]:
        """Return the score of every image.

        Raises:
            NotFittedError: if nothing was fitted.
        """
        scores: np.ndarray = self._scorer.contributions(self.rows(embedding)).sum(axis=1)
        return scores

    def calibrate(self, scores: Float[np.ndarray, " m"], target: float) -> "Detector":
        """Return a detector with the scores of held-out normal images and a conformal threshold.

        Raises:
            NotFittedError: if nothing was fitted.
            InvalidSpecError: if the target is not in (0, 1).
            InsufficientCalibrationError: if there are too few images for the target.
        """
        self.require_fitted()
        return self._with(calibration=np.sort(scores)).with_target(target)

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
        parts = self._scorer.contributions(self.rows(embedding))
        scores = parts.sum(axis=1)
        p_values = (
            None if self.calibration is None else conformal.p_values(scores, self.calibration)
        )
        line = None if self.threshold is None else self.threshold.value
        return [
            Verdict(
                score=float(score),
                contributions=dict(zip(self.moments, map(float, part), strict=True)),
                threshold=line,
                margin=None if line is None else float(score - line),
                p_value=None if p_values is None else float(p_values[index]),
                flagged=None if line is None else bool(score > line),
            )
            for index, (score, part) in enumerate(zip(scores, parts, strict=True))
        ]
