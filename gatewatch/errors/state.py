"""The service and what it runs on: load, storage, backbone, device, where notices go."""

from gatewatch.errors.base import ProblemError


class OverloadedError(ProblemError):
    """Too much waits, or for too long; the whole request was refused, repeat it later."""


class UnavailableError(ProblemError):
    """The service is starting or stopping."""


class InferenceError(ProblemError):
    """The backbone failed on this image; the server's log has the cause."""


class StorageError(ProblemError):
    """What is stored cannot be used by this program; the message says what to do."""


class StorageUnavailableError(ProblemError):
    """The database or the bucket cannot be reached; repeat it later."""


class MissingBlobError(ProblemError):
    """What a row of the database names is not in the store; restore it from a backup."""


class FingerprintMismatchError(ProblemError):
    """The detector was fitted on another backbone or preprocessing; fit it again."""


class ArtefactError(ProblemError):
    """The file is not a detector of this program, or it is damaged."""


class BackboneError(ProblemError):
    """The backbone does not exist or its weights cannot be loaded."""


class DeviceMemoryError(ProblemError):
    """The device has too little memory for so many images at once; send fewer, or repeat it."""


class DeviceLostError(ProblemError):
    """The device fails at everything until the process is started again."""


class EngineNotReadyError(ProblemError):
    """The engine is being made ready for pictures of this size; repeat it in a minute."""


class LeaseLostError(ProblemError):
    """Another process has taken up the job; this one must not go on with it."""


class InvalidSinkError(ProblemError):
    """Notices cannot go where a setting says; the message says what to give instead."""


class NoSinkError(ProblemError):
    """Notices go nowhere: no setting names a webhook, a broker or a folder."""


class NotDeliveredError(ProblemError):
    """A notice did not arrive; the message says why, without passwords."""
