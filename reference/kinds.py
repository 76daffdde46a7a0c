"""Kinds of data: what one sample may be and how it is looked at, from the classes that say so."""

import inspect
import json
import re
from dataclasses import asdict, fields

from detector.kinds import KINDS, Kind, LearnedKind
from reference.markdown import anchor_of, code, heading, table, text

INTRODUCTION = """# Kinds of data

What `kind` of `POST /v1/detectors` may be, and what its `view` may say;
[Other data than images](../kinds.md) tells how they are used. `GET /v1/info` has the same.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([INTRODUCTION, *map(_section, KINDS.values())])


def _section(kind: Kind) -> str:
    first = (inspect.getdoc(type(kind)) or "").partition("\n\n")[0]
    parts = [
        heading(2, code(kind.name), anchor_of(kind.name)),
        f"{text(first)}\n",
        table(
            ["sent as", "files"],
            [[" ".join(map(code, kind.media_types)), " ".join(map(code, kind.suffixes))]],
        ),
    ]
    if isinstance(kind, LearnedKind):
        limits = [[code(name), f"{value:,}"] for name, value in kind.limits.items()]
        parts += [
            table(["`view`", "default", "meaning"], _view(kind)),
            table(["limit", "value"], limits),
        ]
    else:
        parts.append("Its limits are the service's: see [Settings](settings.md).\n")
    return "\n".join(parts)


def _view(kind: LearnedKind[object, object]) -> list[list[str]]:
    meanings = attributes(inspect.getdoc(kind.View) or "")
    values = asdict(kind.view({}))  # type: ignore[call-overload]  # every view is a dataclass
    return [
        [code(field.name), code(json.dumps(values[field.name])), text(meanings[field.name])]
        for field in fields(kind.View)
    ]


def attributes(documentation: str) -> dict[str, str]:
    """Return the sentences of a docstring's section ``Attributes``, by name."""
    section = re.search(r"^Attributes:\n((?: {4}.*\n?|\n)*)", documentation, re.M)
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M)
    return dict(found)
