"""Detectors and what is done with them: versions, jobs, thresholds, reviews, moving."""

from gatewatch.errors.base import ProblemError


class WrongKindError(ProblemError):
    """This cannot be done with a detector of this kind of data; the message says what can."""


class UnknownDetectorError(ProblemError):
    """There is no detector of this name."""


class DetectorExistsError(ProblemError):
    """A detector of this name exists already."""


class UnknownVersionError(ProblemError):
    """The detector has no version of this number."""


class InServiceError(ProblemError):
    """The version is still used; the message says by what."""


class NoPreviousVersionError(ProblemError):
    """There is no version to go back to."""


class UnknownJobError(ProblemError):
    """There is no such job."""


class JobEndedError(ProblemError):
    """The job has ended already."""


class IdempotencyConflictError(ProblemError):
    """The Idempotency-Key was used for another request."""


class CannotAdaptError(ProblemError):
    """The gates of the backbone that the service runs on cannot be adapted."""


class NoAdaptedGatesError(ProblemError):
    """The job has kept no gates; the message says why."""


class RowsNotKeptError(ProblemError):
    """The rows of the fitted images were not kept, so that none of them can be forgotten alone."""


class NothingLeftError(ProblemError):
    """Nothing would be left of what was fitted."""


class ConflictError(ProblemError):
    """The detector was changed by somebody else meanwhile; read it again and repeat."""


class ReviewMismatchError(ProblemError):
    """The word does not fit what was said of the image."""


class NoProposalError(ProblemError):
    """The reviews give no reason for this change, or the detector cannot be changed this way."""


class ShadowInServiceError(ProblemError):
    """The version is the one in service; a shadow is another one."""


class DriftNotWatchedError(ProblemError):
    """Monitoring is switched off by its setting."""


class InvalidBundleError(ProblemError):
    """The file is not a whole and undamaged detector that was exported; export it again."""


class ParityError(ProblemError):
    """Images score otherwise here than where the detector was exported; it is not imported."""


class NotFittedError(ProblemError):
    """The detector has seen no normal images yet; fit it first."""


class NotCalibratedError(ProblemError):
    """The detector has no calibration scores; calibrate it with held-out normal images first."""


class StaleCalibrationError(ProblemError):
    """Images were fitted or forgotten since the calibration; calibrate again, or allow it stale."""


class MissingAnomaliesError(ProblemError):
    """The threshold is chosen from known anomalies; calibrate with some, or take another."""


class DegenerateDataError(ProblemError):
    """The fitted images are so alike, or so few, that no distance can be defined."""


class InsufficientCalibrationError(ProblemError):
    """More calibration images are needed for this false-alarm rate; the message says how many."""


class InvalidSpecError(ProblemError):
    """A detector cannot be made or set this way; the message says what is allowed."""
