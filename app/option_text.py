"""Options as text, ``key=value``, as the command line takes them."""

from collections.abc import Sequence

from pydantic import ValidationError

from app.schemas.new_detector import Options as OptionsBody
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
    blocks = pairs.pop("blocks", "")  # pydantic reads no list from strings
    try:
        given = OptionsBody.model_validate_strings(pairs)
    except ValidationError as error:
        raise InvalidSpecError(f"options: {error}") from error
    given.blocks = blocks.split("+") if blocks else []
    return Options(**given.model_dump())
