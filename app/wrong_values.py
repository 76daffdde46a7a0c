"""What pydantic finds wrong, in plain words, without the value: that may be a secret."""

from collections.abc import Callable

from pydantic import ValidationError

_UNKNOWN = "extra_forbidden"
_WORDS = (("Input should be ", "must be "), ("Value error, ", ""))
"""How pydantic's messages begin, and how ours do."""


def told(error: ValidationError, named: Callable[[str], str]) -> list[str]:
    """Return a line for each thing that is wrong; what concerns several names them itself.

    Args:
        error: of a model.
        named: what somebody who gave a field calls it.
    """
    lines: list[str] = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        words = "there is no such thing" if one["type"] == _UNKNOWN else _plain(one["msg"])
        if one["loc"]:
            lines.append(f"{named(str(one['loc'][0]))}: {words}")
        else:
            lines.extend(words.splitlines())
    return list(dict.fromkeys(lines))


def _plain(message: str) -> str:
    for theirs, ours in _WORDS:
        if message.startswith(theirs):
            return ours + message.removeprefix(theirs)
    return message
