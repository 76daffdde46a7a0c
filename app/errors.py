"""Expected failures of the service, under the domain's root and without status codes.

All derive from ``ServiceError``, a ``DetectorError``; those of one sample, which let others of the
same request go on, from ``SampleError`` too, as those of the domain do that are known here by
their names. ``app.problems`` gives each its status.
"""

from detector.errors import DetectorError, SampleError
from detector.errors import ImageTooLargeError as ImageTooLargeError
from detector.errors import UndecodableImageError as UndecodableImageError
from detector.errors import UnsupportedImageError as UnsupportedImageError


class ServiceError(DetectorError):
    """Root of what can go wrong around the domain."""


class WrongKindError(ServiceError):
    """This cannot be done with a detector of this kind of data; the message says what can."""


class UnknownDetectorError(ServiceError):
    """There is no detector of this name."""


def no_detector(name: str) -> UnknownDetectorError:
    """Return that there is no detector of a name, in the same words wherever that is found."""
    return UnknownDetectorError(f"no detector {name!r}: list those there are, or create it first")


class DetectorExistsError(ServiceError):
    """A detector of this name exists already."""


class ConflictError(ServiceError):
    """The detector was changed by somebody else meanwhile; read it again and repeat."""


class AlreadyFittedError(ServiceError, SampleError):
    """The image was fitted: its score says nothing about images that were not."""

    reason = "fitted"


class DuplicateImageError(ServiceError, SampleError):
    """The image came before: a second time it says nothing new."""

    reason = "duplicate"


class NoImagesError(ServiceError):
    """The request carries no image that can be used."""


class MalformedUploadError(ServiceError):
    """The multipart body cannot be read or holds unexpected fields."""


class InvalidTensorError(ServiceError):
    """The tensor of a V2 request holds no images: shape and data disagree, or it is no base64."""


class UnsupportedMediaTypeError(ServiceError):
    """The request's content type is none of those accepted."""


class TooManyImagesError(ServiceError):
    """The request carries more images than one request may."""


class OverloadedError(ServiceError):
    """Too much waits, or for too long; the whole request was refused, repeat it later."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(ServiceError):
    """The service is starting or stopping."""


class InferenceError(ServiceError):
    """The backbone failed on this image; the server's log has the cause."""


class StorageError(ServiceError):
    """What is stored cannot be used by this program; the message says what to do."""


class StorageUnavailableError(ServiceError):
    """The database or the bucket cannot be reached; repeat it later."""


class MissingBlobError(ServiceError):
    """What a row of the database names is not in the store; restore it from a backup."""


class KeyRequiredError(ServiceError):
    """The request carries no API key, and one is needed."""


class KeyRefusedError(ServiceError):
    """The API key is unknown, wrong, revoked or expired."""


class RoleTooLowError(ServiceError):
    """The API key's role does not cover the request; the message names the role that does."""


class TooManyRequestsError(ServiceError):
    """The API key has used up its requests of this minute; repeat it later."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InvalidKeySpecError(ServiceError):
    """No API key can have this name, expiry or limit."""


class KeyExistsError(ServiceError):
    """There is or was an API key of this name; names are never given twice."""


class TooManyKeysError(ServiceError):
    """There are as many API keys as there may be; revoke those that are not used."""


class UnknownKeyError(ServiceError):
    """There is no API key of this id."""


class NoAdminKeyError(ServiceError):
    """No admin key would be left that could manage the others over HTTP."""


class UnprotectedError(ServiceError):
    """The service would be open to other machines without a key, and does not start."""


class UnknownVersionError(ServiceError):
    """The detector has no version of this number."""


class NoPreviousVersionError(ServiceError):
    """There is no version to go back to."""


class InServiceError(ServiceError):
    """The version is still used; the message says by what."""


class UploadTooLargeError(ServiceError):
    """An image, or all images of a job together, have more bytes than allowed."""


class CompressionRatioError(ServiceError):
    """The archive unpacks to far more bytes than it has."""


class RefusedMemberError(ServiceError):
    """The upload has a member that no archive of images needs; the message names it."""


class InvalidGroupError(ServiceError):
    """The groups of the images are contradictory, too long or not readable."""


class ForbiddenFolderError(ServiceError):
    """The folder, or a link in it, lies outside the folders that may be imported."""


class UnknownFolderError(ServiceError):
    """There is no such folder on the server."""


class DamagedSpoolError(ServiceError):
    """The kept upload of a job is damaged, cut short or gone; send the images again."""


class UnknownJobError(ServiceError):
    """There is no such job."""


class JobEndedError(ServiceError):
    """The job has ended already."""


class IdempotencyConflictError(ServiceError):
    """The Idempotency-Key was used for another request."""


class CannotAdaptError(ServiceError):
    """The gates of the backbone that the service runs on cannot be adapted."""


class NoAdaptedGatesError(ServiceError):
    """The job has kept no gates; the message says why."""


class LeaseLostError(ServiceError):
    """Another process has taken up the job; this one must not go on with it."""


class UnknownImageError(ServiceError):
    """There is no image of this digest, group or id."""


class RowsNotKeptError(ServiceError):
    """The rows of the fitted images were not kept, so that none of them can be forgotten alone."""


class NothingLeftError(ServiceError):
    """Nothing would be left of what was fitted."""


class ReviewMismatchError(ServiceError):
    """The word does not fit what was said of the image."""


class NoProposalError(ServiceError):
    """The reviews give no reason for this change, or the detector cannot be changed this way."""


class DriftNotWatchedError(ServiceError):
    """Monitoring is switched off by its setting."""


class InvalidSinkError(ServiceError):
    """Notices cannot go where a setting says; the message says what to give instead."""


class NoSinkError(ServiceError):
    """Notices go nowhere: no setting names a webhook, a broker or a folder."""


class NotDeliveredError(ServiceError):
    """A notice did not arrive; the message says why, without passwords.

    ``retry_after_s`` is the least wait that the other side has asked for; ``final`` that it never
    wants it.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0, *, final: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s, self.final = retry_after_s, final


class ShadowInServiceError(ServiceError):
    """The version is the one in service; a shadow is another one."""


class InvalidBundleError(ServiceError):
    """The file is not a whole and undamaged detector that was exported; export it again."""


class ParityError(ServiceError):
    """Images score otherwise here than where the detector was exported; it is not imported."""
