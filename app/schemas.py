"""The bodies of requests and answers, as clients see them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

from app import problems
from app.problems import Problem
from app.results import Judged, Learned, Rejected, Scored
from app.storage import Stored
from detector import detector as domain
from detector.descriptors import DESCRIPTORS
from detector.detector import DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE, MIN_IMAGE_SIZE, NAME
from detector.embedder import BACKBONES
from detector.scorers import SCORERS

DetectorName = Annotated[str, StringConstraints(pattern=NAME)]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class NewDetector(_Body):
    """What a detector is made of; everything but the name has a default."""

    name: DetectorName
    """Letters, digits, dot, dash and underscore; at most 63."""
    backbone: str = Field(default="se-lite0", json_schema_extra={"enum": [*BACKBONES]})
    """The network that embeds images; it must be the one the service runs."""
    scorer: str = Field(default="gaussian", json_schema_extra={"enum": [*SCORERS]})
    """How the distance from normal is measured."""
    descriptor: str = Field(default="", json_schema_extra={"enum": ["", *DESCRIPTORS]})
    """What of the network is looked at; empty for the scorer's own."""
    image_size: int = Field(default=DEFAULT_IMAGE_SIZE, ge=MIN_IMAGE_SIZE, le=MAX_IMAGE_SIZE)
    """Side of the square, in pixels, to which images are resized."""


class ConformalThreshold(_Body):
    """A threshold by the share of normal images that may be flagged."""

    method: Literal["conformal"]
    target: Rate = Field(strict=True)
    """Highest false-alarm rate, as a fraction."""


class ManualThreshold(_Body):
    """A threshold by value."""

    method: Literal["manual"]
    value: FiniteFloat = Field(strict=True)
    """The score above which an image is flagged."""


NewThreshold = Annotated[ConformalThreshold | ManualThreshold, Field(discriminator="method")]


class Threshold(_Body):
    """Where the line is drawn, and what is promised about it."""

    value: float
    method: str
    target: float | None
    calibration_images: int
    statement: str

    @classmethod
    def of(cls, detector: domain.Detector) -> "Threshold":
        """Return a detector's threshold. Raises NotCalibratedError if it has none."""
        threshold = detector.require_threshold()
        return cls(
            value=threshold.value,
            method=threshold.method,
            target=threshold.target,
            calibration_images=detector.calibration_images,
            statement=threshold.statement,
        )


class DetectorInfo(_Body):
    """A detector's state."""

    name: str
    version: int
    state: Literal["created", "fitted", "calibrated"]
    backbone: str
    backbone_fingerprint: str
    scorer: str
    descriptor: str
    image_size: int
    fitted_images: int
    calibration_images: int
    threshold: Threshold | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: Stored) -> "DetectorInfo":
        """Return what a stored detector shows."""
        detector = stored.detector
        return cls(
            name=detector.spec.name,
            version=detector.version,
            state=detector.state,
            backbone=detector.spec.backbone,
            backbone_fingerprint=detector.spec.backbone_fingerprint,
            scorer=detector.spec.scorer,
            descriptor=detector.spec.descriptor,
            image_size=detector.spec.image_size,
            fitted_images=detector.fitted_images,
            calibration_images=detector.calibration_images,
            threshold=Threshold.of(detector) if detector.threshold else None,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


class DetectorList(_Body):
    """All detectors, by name."""

    detectors: list[DetectorInfo]


class RejectedImage(_Body):
    """An image that was left out, and why."""

    name: str
    problem: Problem

    @classmethod
    def of(cls, rejected: Rejected) -> "RejectedImage":
        """Return its form."""
        return cls(name=rejected.name, problem=problems.of(rejected.error))


class Fitted(_Body):
    """What a fit did."""

    detector: DetectorInfo
    fitted: int
    """Images used by this call."""
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, learned: Learned) -> "Fitted":
        """Return its form."""
        return cls(
            detector=DetectorInfo.of(learned.stored),
            fitted=learned.used,
            rejected=[RejectedImage.of(item) for item in learned.rejected],
        )


class Calibrated(_Body):
    """What a calibration did."""

    detector: DetectorInfo
    calibrated: int
    """Images used by this call."""
    threshold: Threshold
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, learned: Learned) -> "Calibrated":
        """Return its form."""
        return cls(
            detector=DetectorInfo.of(learned.stored),
            calibrated=learned.used,
            threshold=Threshold.of(learned.stored.detector),
            rejected=[RejectedImage.of(item) for item in learned.rejected],
        )


class TimingsMs(_Body):
    """Where one image's time went, in milliseconds; forward is that of its whole batch."""

    decode: float
    queue: float
    forward: float
    judge: float


class ImageResult(_Body):
    """The verdict on one image, or the problem that kept it from having one."""

    index: int
    """Position in the request."""
    name: str
    """File name as sent; empty for a raw body."""
    verdict: Literal["normal", "anomalous", "uncalibrated", "invalid"]
    score: float | None = None
    """Distance from normal; higher is more anomalous."""
    threshold: float | None = None
    margin: float | None = None
    """Score minus threshold."""
    p_value: float | None = None
    """Share of normal images that score at least as high, by the calibration images."""
    flagged: bool | None = None
    """Whether the score lies above the threshold."""
    contributions: dict[str, float] | None = None
    """What each block of the backbone adds to the score; they sum to it."""
    timings_ms: TimingsMs | None = None
    problem: Problem | None = None

    @classmethod
    def of(cls, index: int, judged: Judged) -> "ImageResult":
        """Return its form."""
        if judged.error is not None:
            problem = problems.of(judged.error)
            return cls(index=index, name=judged.name, verdict="invalid", problem=problem)
        verdict, timings = judged.verdict, judged.timings
        assert verdict is not None
        assert timings is not None
        return cls(
            index=index,
            name=judged.name,
            verdict=verdict.word,
            score=verdict.score,
            threshold=verdict.threshold,
            margin=verdict.margin,
            p_value=verdict.p_value,
            flagged=verdict.flagged,
            contributions=verdict.contributions,
            timings_ms=TimingsMs(
                decode=1e3 * timings.decode_s,
                queue=1e3 * timings.queue_s,
                forward=1e3 * timings.forward_s,
                judge=1e3 * timings.judge_s,
            ),
        )


class Scores(_Body):
    """The results of one request, in its order."""

    detector: str
    version: int
    """Version of the detector that gave them."""
    results: list[ImageResult]

    @classmethod
    def of(cls, scored: Scored) -> "Scores":
        """Return its form."""
        return cls(
            detector=scored.detector,
            version=scored.version,
            results=[ImageResult.of(i, judged) for i, judged in enumerate(scored.results)],
        )


class Health(_Body):
    """Whether the service serves."""

    status: Literal["ok", "unavailable"]


class Info(_Body):
    """What runs here and what it accepts."""

    version: str
    backbone: str
    backbone_fingerprint: str
    device: str
    scorers: list[str]
    descriptors: list[str]
    media_types: list[str]
    limits: dict[str, int]
