"""The settings as the environment and the command line give them, or what is wrong with them."""

from typing import Any

from pydantic import ValidationError

from app.settings import Settings, check_environment, variable
from app.wrong_values import told


class InvalidSettingsError(ValueError):
    """Settings that cannot be; a line for each says which variable or option, and no value."""


def read_settings(**options: Any) -> Settings:
    """Return the settings of the environment; options that are not None go before it.

    Raises:
        InvalidSettingsError: if one is unknown, cannot be, or does not go with another.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        check_environment()
        return Settings(**given)
    except ValidationError as error:
        lines = told(error, lambda name: option(name) if name in given else variable(name))
        # Not from it: where a traceback is shown, as in Ray's logs, ours says all that is known.
        raise InvalidSettingsError("\n".join(lines)) from None
    except ValueError as error:
        raise InvalidSettingsError(str(error)) from error


def option(name: str) -> str:
    """Return how the command line calls a setting."""
    return f"--{name.replace('_', '-')}"
