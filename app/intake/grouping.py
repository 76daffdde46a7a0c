"""Which group (lot, session, camera) each image of a job belongs to, as its sender said.

One group for all images, or the folder an image lies in; on top of either, the ``groups`` field of
a form names single images and wins for those. Images nobody speaks of have no group, ``""``.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from app.errors import InvalidGroupError
from app.intake.limits import quoted
from detector.errors import InvalidSpecError

MAX_GROUP = 200
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of controls, surrogates and breaks of lines and paragraphs."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How names of images become groups.

    Raises:
        InvalidGroupError: if two ways exclude each other, or a group is too long or has controls.
    """

    group: str = ""
    """Of all images."""
    from_folder: bool = False
    """Whether it is the folder: the name up to its last slash."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Name of an image to its group; wins over the others."""

    def __post_init__(self) -> None:
        if self.group and self.from_folder:
            raise InvalidGroupError(
                "group and group_from exclude each other: give one group to all images, or take "
                "it from their folders"
            )
        for group in (self.group, *self.named.values()):
            check_group(group)

    def of(self, name: str) -> str:
        """Return an image's group.

        Raises:
            InvalidGroupError: if its folder's name cannot be a group.
        """
        if name in self.named:
            return self.named[name]
        if not self.from_folder:
            return self.group
        folder = name.replace("\\", "/").rpartition("/")[0]
        check_group(folder)
        return folder

    def with_named(self, text: str | bytes) -> "Grouping":
        """Return this grouping with single images named in JSON: an object, name to group.

        Raises:
            InvalidGroupError: if the text is anything else.
        """
        wanted = 'send a JSON object, name of the image to its group: {"a.png": "lot 7"}'
        try:
            pairs = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise InvalidGroupError(f"groups cannot be read ({error}): {wanted}") from error
        if not isinstance(pairs, dict) or not all(isinstance(g, str) for g in pairs.values()):
            raise InvalidGroupError(f"groups is not of this form: {wanted}")
        return replace(self, named=pairs)

    def check(self, names: Sequence[str]) -> None:
        """Make sure that every image named is there, once.

        Raises:
            InvalidGroupError: if one is not, or two have its name.
        """
        count = Counter(names)
        for name in self.named:
            if count[name] == 0:
                raise InvalidGroupError(
                    f"groups names {quoted(name)}, but no image of the upload is called so: name "
                    "images as the upload does"
                )
            if count[name] > 1:
                raise InvalidGroupError(
                    f"groups names {quoted(name)}, but {count[name]} images are called so: give "
                    "them different names"
                )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is given twice, of which ``json`` would take the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def check_group(group: str) -> str:
    """Return a group that can be kept and seen.

    Raises:
        InvalidGroupError: if it is too long or has controls.
    """
    if len(group) > MAX_GROUP:
        raise InvalidGroupError(
            f"the group {quoted(group)} has {len(group)} characters: at most {MAX_GROUP}"
        )
    if any(unicodedata.category(letter) in _HIDDEN for letter in group):
        raise InvalidGroupError(f"the group {quoted(group)} has control characters: remove them")
    return group


@lru_cache(maxsize=8)
def pattern_of(pattern: str) -> re.Pattern[str]:
    """Return what finds an image's group in its name.

    Raises:
        InvalidSpecError: if it is none, or has no group.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InvalidSpecError(f"--group-pattern cannot be read: {error}") from error
    if expression.groups < 1:
        raise InvalidSpecError("--group-pattern needs a group in parentheses")
    return expression
