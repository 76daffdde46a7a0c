"""How a threshold is asked for: a ``NewThreshold``, or just the highest false-alarm rate."""

from dataclasses import asdict
from typing import Any

from gatewatch.answers import NewThreshold

Line = NewThreshold | float
"""A number is the target of a conformal threshold."""


def as_document(line: Line) -> dict[str, Any]:
    """Return what is asked for as JSON."""
    if not isinstance(line, NewThreshold):
        line = NewThreshold(method="conformal", target=float(line))
    return {
        name: value
        for name, value in asdict(line).items()
        if value is not None and value is not False  # 0 is a value
    }


def as_query(line: Line | None) -> dict[str, Any]:
    """Return what is asked for as parameters; nothing for None."""
    return {} if line is None else as_document(line)
