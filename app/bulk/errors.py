"""Why a fit at large ends early; a command tells it, and no request meets it."""


class BulkError(Exception):
    """It cannot go on; the message says why, and what to do."""


class PartsMismatchError(BulkError):
    """The parts are of different detectors or plans, or have an image in common."""


class MissingPartsError(BulkError):
    """Not all parts of the whole are there; the message names those that are not."""


class UnreadableSourceError(BulkError):
    """A source of images cannot be listed or read as a whole."""
