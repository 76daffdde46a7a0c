"""Kinds of data by name; a new one is a file here and a line in this table."""

from collections import UserDict
from collections.abc import MutableMapping
from importlib import import_module
from typing import Any

from detector.errors import InvalidSpecError
from detector.kinds.kind import Kind, LearnedKind

__all__ = ["DEFAULT_KIND", "KINDS", "Kind", "LearnedKind", "kind_of", "learned_kind"]


class _Kinds(UserDict[str, Any]):
    """Imports a kind's file when it is asked for: all but images bring torch, which is slow."""

    def __getitem__(self, name: str) -> Kind:
        if self.data[name] is None:
            self.data[name] = import_module(f"{__name__}.{name}").KIND
        kind: Kind = self.data[name]
        return kind


_FILES = (
    "image",
    "audio",
    "video",
    "graph",
    "sequence",
    "image_text",
)
KINDS: MutableMapping[str, Kind] = _Kinds(dict.fromkeys(_FILES))
DEFAULT_KIND = next(iter(KINDS))


def kind_of(name: str) -> Kind:
    """Return the kind of that name. Raises InvalidSpecError if there is none."""
    if name not in KINDS:
        raise InvalidSpecError(f"no kind {name!r}; there is: {', '.join(KINDS)}")
    return KINDS[name]


def learned_kind(name: str) -> LearnedKind[Any, Any] | None:
    """Return the kind of that name if its network learns from normal samples, or else None."""
    kind = kind_of(name)
    return kind if isinstance(kind, LearnedKind) else None
