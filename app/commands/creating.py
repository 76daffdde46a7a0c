"""The command ``gatewatch create``, and what a fit says of a detector that is yet to be."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands import option_text
from app.commands.common import Name, Reason
from app.commands.target import NOT_THERE, KeyFile, Target, Url, limits, opened
from app.images import masks
from detector.errors import InvalidSpecError
from detector.kinds import DEFAULT_KIND
from detector.spec import Spec
from gatewatch import DetectorInfo

Kind = Annotated[
    str | None,
    typer.Option(help="What its samples are: image, or another kind; see docs/kinds.md."),
]
View = Annotated[
    list[str] | None,
    typer.Option(help="How samples of other kinds are looked at: KEY=VALUE, as rate_hz=16000."),
]
Scorer = Annotated[str | None, typer.Option(help="How the distance from normal is measured.")]
Descriptor = Annotated[str | None, typer.Option(help="What of the network is looked at.")]
ImageSize = Annotated[int | None, typer.Option(help="Side to which images are resized, in pixels.")]
Roi = Annotated[Path | None, typer.Option(help="Image or polygons of what counts of every image.")]
Option = Annotated[list[str] | None, typer.Option(help="KEY=VALUE, as flips=true.")]


def create(
    name: Name,
    kind: Kind = None,
    view: View = None,
    scorer: Scorer = None,
    descriptor: Descriptor = None,
    image_size: ImageSize = None,
    roi: Roi = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="Every image is to come with a mask of its own.")
    ] = False,
    option: Option = None,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Create a detector that has learned nothing yet."""
    with opened(url, key_file) as there:
        what = described(kind, view, scorer, descriptor, image_size)
        check(name, what)
        complete(there, what, roi, option, asks_mask=mask)
        info = new(there, name, what, asks_mask=mask, reason=reason)
        view_of_it = ", ".join(f"{key}={value}" for key, value in info.view.items())
        looked = f" ({view_of_it})" if view_of_it else ""
        typer.echo(f"{info.name}: kind {info.kind}{looked}, scorer {info.scorer}")
        typer.echo(f"Next: gatewatch fit {name} FOLDER")


def described(
    kind: str | None,
    view: Sequence[str] | None,
    scorer: str | None,
    descriptor: str | None,
    image_size: int | None,
) -> dict[str, Any]:
    """Return what is said of a new detector in words. Raises InvalidSpecError."""
    said = {
        "kind": kind,
        "view": view_of(view),
        "scorer": scorer,
        "descriptor": descriptor,
        "image_size": image_size,
    }
    return {key: value for key, value in said.items() if value is not None}


def check(name: str, what: dict[str, Any]) -> None:
    """Refuse what cannot be, in the same words wherever it is asked. Raises InvalidSpecError.

    Of other kinds than images only those know who have them: they say it when it is created.
    """
    is_image = what.get("kind", DEFAULT_KIND) == DEFAULT_KIND and "view" not in what
    Spec(name, "", "", **(what if is_image else {}))


def complete(
    target: Target,
    what: dict[str, Any],
    roi: Path | None,
    option: Sequence[str] | None,
    *,
    asks_mask: bool,
) -> None:
    """Add what has to be read. Raises InvalidSpecError, InvalidMaskError, OSError."""
    if option:
        what["options"] = asdict(option_text.parse(option))
    if roi and asks_mask:
        raise InvalidSpecError("--roi fixes the mask for good, --mask sends one: choose")
    if roi:
        most = limits(target)["max_image_pixels"]
        what["mask"] = masks.from_upload(roi.read_bytes(), max_pixels=most)


def made(target: Target, name: str, what: dict[str, Any], *, asks_mask: bool, reason: str) -> None:
    """Create a detector, unless there is one; then nothing may be asked of a new one.

    Raises:
        InvalidSpecError: if it is.
    """
    try:
        target.detector(name)
    except NOT_THERE:
        new(target, name, what, asks_mask=asks_mask, reason=reason)
    else:
        if what:
            raise InvalidSpecError(
                f"detector {name!r} exists: {', '.join(what)} can only be given to a new one"
            )


def new(
    target: Target, name: str, what: dict[str, Any], *, asks_mask: bool, reason: str
) -> DetectorInfo:
    """Create a detector."""
    mask = what.pop("mask", "request" if asks_mask else None)
    return target.create(name, mask=mask, reason=reason, **what)


def kind_named(target: Target, name: str, what: dict[str, Any]) -> str:
    """Return the kind of a detector, or what it is to be if there is none of that name."""
    try:
        return target.detector(name).kind
    except NOT_THERE:
        return str(what.get("kind", DEFAULT_KIND))


def view_of(pairs: Sequence[str] | None) -> dict[str, Any] | None:
    """Return how samples are looked at, of texts as ``rate_hz=16000``.

    Numbers and truth values are as JSON has them, anything else is text.

    Raises:
        InvalidSpecError: if one is not of that form.
    """
    if pairs is None:
        return None
    view = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(view) != len(pairs):
        raise InvalidSpecError("write each view as KEY=VALUE, each key once")
    return {key: _value(text) for key, text in view.items()}


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    return value if isinstance(value, bool | int | float) else text
