"""Expected failures of the service, under the domain's root and without status codes.

::

    DetectorError
    └── ServiceError
        ├── UnknownDetectorError, DetectorExistsError, ConflictError
        ├── ImageError
        │   ├── UndecodableImageError, UnsupportedImageError, ImageTooLargeError
        ├── NoImagesError, MalformedUploadError, UnsupportedMediaTypeError, TooManyImagesError
        └── OverloadedError, UnavailableError, InferenceError
"""

from typing import ClassVar

from detector.errors import DetectorError


class ServiceError(DetectorError):
    """Root of what can go wrong around the domain."""


class UnknownDetectorError(ServiceError):
    """There is no detector of this name."""


class DetectorExistsError(ServiceError):
    """A detector of this name exists already."""


class ConflictError(ServiceError):
    """The detector was changed by somebody else meanwhile; read it again and repeat."""


class ImageError(ServiceError):
    """One image cannot be scored or fitted; others of the same request can."""

    reason: ClassVar[str] = "decode"


class UndecodableImageError(ImageError):
    """The bytes are not a whole, readable image."""


class UnsupportedImageError(ImageError):
    """The image is of a kind that is not accepted; the message names what is."""

    reason = "unsupported"


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit."""

    reason = "too_large"


class NoImagesError(ServiceError):
    """The request carries no image that can be used."""


class MalformedUploadError(ServiceError):
    """The multipart body cannot be read or holds unexpected fields."""


class UnsupportedMediaTypeError(ServiceError):
    """The request's content type is none of those accepted."""


class TooManyImagesError(ServiceError):
    """The request carries more images than one request may."""


class OverloadedError(ServiceError):
    """The queue is full; the whole request was refused, repeat it later."""


class UnavailableError(ServiceError):
    """The service is starting or stopping."""


class InferenceError(ServiceError):
    """The backbone failed on this image; the server's log has the cause."""


class StorageError(ServiceError):
    """What is stored cannot be used by this program; the message says what to do."""


class StorageUnavailableError(ServiceError):
    """The database or the bucket cannot be reached; repeat it later."""
