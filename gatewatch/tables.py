"""Many results as one table, for those who have pandas."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from gatewatch.answers.scores import ImageResult
from gatewatch.files import FileScore


class ScoreTable(tuple[FileScore, ...]):
    """Results of files, in the order in which they were given."""

    __slots__ = ()

    @property
    def flagged(self) -> "ScoreTable":
        """Those above their threshold."""
        return ScoreTable(each for each in self if each.result.flagged)

    @property
    def invalid(self) -> "ScoreTable":
        """Those that could not be scored, with their problems."""
        return ScoreTable(each for each in self if each.result.problem is not None)

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame, a row for each file. Raises ImportError without pandas."""
        return to_dataframe(self)


def to_dataframe(values: Iterable[Any]) -> Any:
    """Return a pandas.DataFrame of dataclasses, a row for each and a column for each field.

    Fields within fields have names like ``region.left``; a ``result`` stands for itself.

    Raises:
        ImportError: without pandas.
    """
    try:
        import pandas  # type: ignore[import-untyped]  # its stubs are no dependency
    except ImportError as error:
        raise ImportError("a DataFrame needs pandas: pip install pandas") from error
    return pandas.DataFrame([dict(_columns(value)) for value in values])


def _columns(value: Any, before: str = "") -> Iterable[tuple[str, Any]]:
    for each in fields(value):
        inner, name = getattr(value, each.name), f"{before}{each.name}"
        if isinstance(inner, ImageResult):
            yield from _columns(inner)
        elif is_dataclass(inner):
            yield from _columns(inner, f"{name}.")
        elif isinstance(inner, dict):
            yield from ((f"{name}.{key}", one) for key, one in inner.items())
        else:
            yield name, inner
