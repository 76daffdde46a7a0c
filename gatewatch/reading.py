"""From JSON to dataclasses.

Fields that the client does not know are left out, so that it reads newer servers. A union takes
the first of its dataclasses whose required fields are there.
"""

import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from gatewatch.errors.base import UnexpectedAnswerError

T = TypeVar("T")
Reader = Callable[[Any], Any]


def read(kind: type[T], value: Any) -> T:
    """Return what JSON stands for.

    Raises:
        UnexpectedAnswerError: if a field that must be there is missing, or of another kind.
    """
    result: T = reader(cast(Any, kind))(value)
    return result


@cache
def reader(kind: Any) -> Reader:
    """Return what makes values of a kind from JSON."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of([part for part in parts if part is not types.NoneType])
    if origin is list:
        each = reader(parts[0])
        return lambda value: [each(item) for item in _a(list, value)]
    if origin is dict:
        of_key = reader(parts[1])
        return lambda value: {key: of_key(item) for key, item in _a(dict, value).items()}
    if origin is tuple:
        places = [reader(part) for part in parts]
        return lambda value: tuple(
            place(item) for place, item in zip(places, _a(list, value), strict=True)
        )
    if is_dataclass(kind):
        return _fields_of(kind)
    return datetime.fromisoformat if kind is datetime else lambda value: value


def required(kind: Any) -> frozenset[str]:
    """Return the fields of a dataclass that have no default."""
    return frozenset(
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    )


def _fields_of(kind: Any) -> Reader:
    hints, must = get_type_hints(kind), required(kind)
    known = [(each.name, reader(hints[each.name])) for each in fields(kind)]

    def made(value: Any) -> Any:
        missing = must - _a(dict, value).keys()
        if missing:
            raise UnexpectedAnswerError(
                f"{kind.__name__} came without {', '.join(sorted(missing))}: is the server older "
                "than the client?"
            )
        return kind(**{name: of(value[name]) for name, of in known if name in value})

    return made


def _one_of(parts: list[Any]) -> Reader:
    if len(parts) == 1:
        only = reader(parts[0])
        return lambda value: None if value is None else only(value)
    needed = [(required(part), reader(cast(Any, part))) for part in parts if is_dataclass(part)]

    def made(value: Any) -> Any:
        if not needed or not isinstance(value, dict):
            return value
        fits = (of for must, of in needed if must <= value.keys())
        return next(fits, needed[0][1])(value)

    return made


def _a(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise UnexpectedAnswerError(f"expected a {kind.__name__}, got {str(value)[:100]!r}")
    return value
