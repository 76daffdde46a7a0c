"""Why a fit at large ends early; a command tells it, and no request meets it."""


class BulkError(Exception):
    """It cannot go on; the message says why, and what to do."""


class PartsMismatchError(BulkError):
    """The parts are of different detectors or plans, or have an image in common."""


class MissingPartsError(BulkError):
    """Not all parts of the whole are there; the message names those that are not."""


class UnreadableSourceError(BulkError):
    """A source of images cannot be listed or read as a whole."""


class UnfinishedError(BulkError):
    """It was stopped; what was done is kept, and the same command goes on from it."""


class ChangedSourcesError(BulkError):
    """What was begun is of other images or another plan than what is to go on."""


class TooManyFailedError(BulkError):
    """So many images could not be used that the source must be a wrong one."""
