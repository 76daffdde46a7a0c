"""What a command sends of this machine: samples by path, groups, a mask; the JSON it prints."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python

from app.commands.common import File, name_of
from app.commands.samples import IMAGES, Samples
from app.intake.grouping import Grouping, pattern_of
from app.intake.local_images import files_in

MaskFile = Annotated[
    Path | None,
    typer.Option(help="Image or polygons (JSON), for a detector that takes a mask per request."),
]
Folder = Annotated[Path, typer.Argument(exists=True, help="File, or folder of files.")]
Pattern = Annotated[
    str | None,
    typer.Option(
        help="Regular expression whose first group, in a file's path, is the image's group: "
        "lot, session or camera."
    ),
]


@dataclass(frozen=True)
class Sent:
    """Samples, and what a job is told with them."""

    images: Sequence[File]
    anomalies: Sequence[File]
    about: dict[str, Any]
    """Mask and groups."""

    @classmethod
    def of(
        cls,
        folder: Path,
        mask: Path | None,
        pattern: str | None,
        anomalies: Path | None = None,
        *,
        samples: Samples = IMAGES,
    ) -> "Sent":
        """Return the samples of a folder, before anything is changed because of them.

        Raises:
            NoImagesError, OSError: if there are none, or no such mask.
            InvalidSpecError: if the pattern is none.
            InvalidGroupError: if what it finds is no group.
        """
        normal = files([folder], samples)
        odd = files([anomalies], samples) if anomalies else []
        groups = None if pattern is None else _groups(pattern, [*normal, *odd])
        about = {"mask": content(mask), "groups": groups}
        return cls(samples.sent(normal), samples.sent(odd), about)


def files(paths: Sequence[Path], samples: Samples = IMAGES) -> list[File]:
    """Return samples, and those of folders, under the names by which they are known.

    Raises:
        NoImagesError: if a folder has none.
    """
    return [
        (name_of(file), file)
        for path in paths
        for file in files_in(path, samples.suffixes, samples.noun)
    ]


def content(mask: Path | None) -> bytes | None:
    """Return what is in a mask's file. Raises OSError."""
    return mask.read_bytes() if mask else None


def print_json(answer: Any) -> None:
    """Print what the API answers."""
    typer.echo(json.dumps(to_jsonable_python(answer), indent=2))


def _groups(pattern: str, images: Sequence[File]) -> dict[str, str]:
    expression = pattern_of(pattern)
    matches = {name: expression.search(name) for name, _ in images}
    named = {name: match[1] for name, match in matches.items() if match and match[1]}
    return dict(Grouping(named=named).named)
