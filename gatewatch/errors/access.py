"""Who asks, and whether they may: keys, roles, limits."""

from gatewatch.errors.base import ProblemError


class KeyRequiredError(ProblemError):
    """The request carries no API key, and one is needed."""


class KeyRefusedError(ProblemError):
    """The API key is unknown, wrong, revoked or expired."""


class RoleTooLowError(ProblemError):
    """The API key's role does not cover the request; the message names the role that does."""


class TooManyRequestsError(ProblemError):
    """The API key has used up its requests of this minute; repeat it later."""


class InvalidKeySpecError(ProblemError):
    """No API key can have this name, expiry or limit."""


class KeyExistsError(ProblemError):
    """There is or was an API key of this name; names are never given twice."""


class TooManyKeysError(ProblemError):
    """There are as many API keys as there may be; revoke those that are not used."""


class UnknownKeyError(ProblemError):
    """There is no API key of this id."""


class NoAdminKeyError(ProblemError):
    """No admin key would be left that could manage the others over HTTP."""


class UnprotectedError(ProblemError):
    """The service would be open to other machines without a key, and does not start."""
