"""Options as text, ``key=value``, as the command line takes them."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from app.schemas.new_detector import Options as OptionsBody
from app.wrong_values import told
from detector.errors import InvalidSpecError
from detector.options import Options


def parse(changes: Sequence[str]) -> Options:
    """Return options of changes as ``flips=true`` or ``blocks=blocks.2+blocks.4``.

    Raises:
        InvalidSpecError: if one is not of that form, or its option or value does not exist.
    """
    pairs = dict(change.split("=", 1) for change in changes if "=" in change)
    if len(pairs) != len(changes):
        raise InvalidSpecError("write each option as KEY=VALUE, each key once")
    values: dict[str, Any] = {key: _value(text) for key, text in pairs.items()}
    if "blocks" in pairs:
        values["blocks"] = pairs["blocks"].split("+")
    try:
        return Options(**OptionsBody.model_validate(values).model_dump())
    except ValidationError as error:
        raise InvalidSpecError("; ".join(told(error, _named))) from error


def _named(option: str) -> str:
    return f"option {option}"


def _value(text: str) -> Any:
    """Return a number or truth value as JSON has it, and anything else as text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
