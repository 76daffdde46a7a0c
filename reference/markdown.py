"""The few forms of Markdown that the pages are made of."""

import re
from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already; nothing where there is no row."""
    lines = [_row(cells) for cells in rows]
    if not lines:
        return ""
    return "\n".join([_row(headings), _row(["---"] * len(headings)), *lines]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def text(words: str | None) -> str:
    """Return a docstring's or description's words as Markdown on one line, safe in a table."""
    line = " ".join((words or "").replace("``", "`").split())
    # Between backticks all is literal already but the bar, which would end a cell.
    parts = re.split(r"(`[^`]*`)", line)
    safe = [
        part if part.startswith("`") else re.sub(r"([<>*_\[\]])", r"\\\1", part) for part in parts
    ]
    return "".join(safe).replace("|", r"\|")


def code(words: object) -> str:
    """Return a name or value as code, safe in a table."""
    return f"`{words}`".replace("|", r"\|")


def heading(level: int, words: str, anchor: str) -> str:
    """Return a heading with an anchor that stays when its words change."""
    return f"{'#' * level} {words} {{ #{anchor} }}\n"


def anchor_of(*parts: str) -> str:
    """Return an anchor of the letters and digits in some words."""
    return "-".join(re.findall("[a-z0-9]+", " ".join(parts).lower()))
