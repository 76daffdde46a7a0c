"""Kinds of data by name; a new one is a file here and a line in this table."""

from typing import Any

from detector.errors import InvalidSpecError
from detector.kinds import audio, graph, image, image_text, sequence, video
from detector.kinds.kind import Kind, LearnedKind

_FILES = (image, audio, video, graph, sequence, image_text)
KINDS: dict[str, Kind] = {each.KIND.name: each.KIND for each in _FILES}
DEFAULT_KIND = image.KIND.name

__all__ = ["DEFAULT_KIND", "KINDS", "Kind", "LearnedKind", "kind_of", "learned_kind"]


def kind_of(name: str) -> Kind:
    """Return the kind of that name. Raises InvalidSpecError if there is none."""
    if name not in KINDS:
        raise InvalidSpecError(f"no kind {name!r}; there is: {', '.join(KINDS)}")
    return KINDS[name]


def learned_kind(name: str) -> LearnedKind[Any, Any] | None:
    """Return the kind of that name if its network learns from normal samples, or else None."""
    kind = kind_of(name)
    return kind if isinstance(kind, LearnedKind) else None
