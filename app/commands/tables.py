"""Tables that can be read at 80 columns: only free text is broken, at blanks where it has some."""

from collections.abc import Collection

from rich.console import Console
from rich.table import Table

_WIDE = 10_000
"""More than any table."""


def columns(
    table: Table, *headings: str, wraps: Collection[str] = (), right: Collection[str] = ()
) -> Table:
    """Add columns to a table, and return it.

    Args:
        table: to which they are added.
        headings: of the columns.
        wraps: those whose cells may be broken, and are not cut: what a name ends with counts.
        right: those of numbers.
    """
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=heading not in wraps,
            overflow="fold",
        )
    return table


def fits(table: Table, console: Console) -> bool:
    """Return whether a table can be shown with nothing broken but what may be, at blanks."""
    options = console.options.update(width=_WIDE)
    return console.measure(table, options=options).minimum <= console.width
