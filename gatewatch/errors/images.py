"""Images and what carries them: bodies, archives, folders, masks."""

from gatewatch.errors.base import ProblemError


class ImageError(ProblemError):
    """One image, or sample of another kind, cannot be scored or fitted; others still can."""


class UndecodableImageError(ImageError):
    """The bytes are not a whole, readable image."""


class UnsupportedImageError(ImageError):
    """The image is of a kind that is not accepted; the message names what is."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit."""


class UndecodableSampleError(ImageError):
    """The bytes are not a whole, readable sample of the detector's kind."""


class UnsupportedSampleError(ImageError):
    """The sample's format, or something in it, is not accepted; the message names what is."""


class SampleTooLargeError(ImageError):
    """The sample is longer, larger or more than the limit of its kind."""


class AlreadyFittedError(ImageError):
    """The image was fitted: its score says nothing about images that were not."""


class DuplicateImageError(ImageError):
    """The image came before: a second time it says nothing new."""


class NoImagesError(ProblemError):
    """The request carries no image that can be used."""


class MalformedUploadError(ProblemError):
    """The multipart body cannot be read or holds unexpected fields."""


class InvalidTensorError(ProblemError):
    """The tensor of a V2 request holds no images: shape and data disagree, or it is no base64."""


class UnsupportedMediaTypeError(ProblemError):
    """The request's content type is none of those accepted."""


class TooManyImagesError(ProblemError):
    """The request carries more images than one request may."""


class UploadTooLargeError(ProblemError):
    """An image, or all images of a job together, have more bytes than allowed."""


class CompressionRatioError(ProblemError):
    """The archive unpacks to far more bytes than it has."""


class RefusedMemberError(ProblemError):
    """The upload has a member that no archive of images needs; the message names it."""


class InvalidGroupError(ProblemError):
    """The groups of the images are contradictory, too long or not readable."""


class ForbiddenFolderError(ProblemError):
    """The folder, or a link in it, lies outside the folders that may be imported."""


class UnknownFolderError(ProblemError):
    """There is no such folder on the server."""


class DamagedSpoolError(ProblemError):
    """The kept upload of a job is damaged, cut short or gone; send the images again."""


class InvalidMaskError(ProblemError):
    """The region of interest leaves nothing of the image; the message says what is wrong."""


class MaskMismatchError(ProblemError):
    """Images must come with a mask exactly if the detector was created to take one with them."""


class NoMapError(ProblemError):
    """The detector's scorer says how odd an image is, not where; create one that has a map."""


class UnknownImageError(ProblemError):
    """There is no image of this digest, group or id."""
