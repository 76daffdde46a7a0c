"""Every expected failure of the domain, without a word about HTTP.

::

    DetectorError
    ├── NotFittedError              judged before anything was fitted
    ├── NotCalibratedError          a threshold was asked of a detector without calibration scores
    ├── DegenerateDataError         the images carry no variation to model
    ├── InsufficientCalibrationError  too few scores for the wanted false-alarm rate
    ├── FingerprintMismatchError    fitted on another backbone or preprocessing
    ├── InvalidSpecError            a name, size, scorer or threshold that cannot be
    ├── InvalidMaskError            a mask that leaves nothing of the image
    ├── MaskMismatchError           a mask where the detector has none, or none where it needs one
    ├── NoMapError                  a map was asked of a scorer that has none
    ├── ArtefactError               a file that is not a detector, or a damaged one
    ├── BackboneError               the backbone is unknown or its weights cannot be loaded
    ├── StaleCalibrationError       the calibration belongs to other moments
    ├── DeviceMemoryError           the images do not fit into the device's memory together
    ├── EngineNotReadyError         the engine is being made ready for pictures of this size
    ├── DeviceLostError             the device fails at everything until the process ends
    ├── SampleError                 one sample cannot be scored or fitted; its kind's decoder says
    │   ├── UndecodableSampleError  its bytes are not a whole, readable sample of its kind
    │   ├── UnsupportedSampleError  its format, or something in it, is not accepted
    │   ├── SampleTooLargeError     it is longer, larger or more than the limit of its kind
    │   ├── UndecodableImageError   its bytes are not a whole, readable image
    │   ├── UnsupportedImageError   the image is of a kind that is not accepted
    │   └── ImageTooLargeError      the image has more pixels than the limit
    └── MissingAnomaliesError       a threshold that is chosen from known anomalies, without any
"""

from typing import ClassVar


class DetectorError(Exception):
    """Root of the tree: every expected failure of the domain."""


class NotFittedError(DetectorError):
    """The detector has seen no normal images yet; fit it first."""


class NotCalibratedError(DetectorError):
    """The detector has no calibration scores; calibrate it with held-out normal images first."""


class DegenerateDataError(DetectorError):
    """The fitted images are so alike, or so few, that no distance can be defined."""


class InsufficientCalibrationError(DetectorError):
    """More calibration images are needed for this false-alarm rate; the message says how many."""


class FingerprintMismatchError(DetectorError):
    """The detector was fitted on another backbone or preprocessing; fit it again."""


class InvalidSpecError(DetectorError):
    """A detector cannot be made or set this way; the message says what is allowed."""


class InvalidMaskError(DetectorError):
    """The region of interest leaves nothing of the image; the message says what is wrong."""


class MaskMismatchError(DetectorError):
    """Images must come with a mask exactly if the detector was created to take one with them."""


class NoMapError(DetectorError):
    """The detector's scorer says how odd an image is, not where; create one that has a map."""


class ArtefactError(DetectorError):
    """The file is not a detector of this program, or it is damaged."""


class BackboneError(DetectorError):
    """The backbone does not exist or its weights cannot be loaded."""


class MissingAnomaliesError(DetectorError):
    """The threshold is chosen from known anomalies; calibrate with some, or take another."""


class StaleCalibrationError(DetectorError):
    """Images were fitted or forgotten since the calibration; calibrate again, or allow it stale."""


class DeviceMemoryError(DetectorError):
    """The device has too little memory for so many images at once; send fewer, or repeat it."""


class EngineNotReadyError(DetectorError):
    """The engine is being made ready for pictures of this size; repeat it in a minute."""


class DeviceLostError(DetectorError):
    """The device fails at everything until the process is started again."""


class SampleError(DetectorError):
    """One sample cannot be scored or fitted; others of the same request can."""

    reason: ClassVar[str] = "decode"


class UndecodableSampleError(SampleError):
    """The bytes are not a whole, readable sample of the detector's kind."""


class UnsupportedSampleError(SampleError):
    """The sample's format, or something in it, is not accepted; the message names what is."""

    reason = "unsupported"


class SampleTooLargeError(SampleError):
    """The sample is longer, larger or more than the limit of its kind."""

    reason = "too_large"


class UndecodableImageError(SampleError):
    """The bytes are not a whole, readable image."""


class UnsupportedImageError(SampleError):
    """The image is of a kind that is not accepted; the message names what is."""

    reason = "unsupported"


class ImageTooLargeError(SampleError):
    """The image has more pixels than the limit."""

    reason = "too_large"
