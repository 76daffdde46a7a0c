"""The commands that change a detector: ``fit``, ``calibrate``, ``forget``, ``threshold``."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from app.commands import option_text
from app.commands.common import Name, Reason, by, report, run
from app.errors import UnknownDetectorError
from app.images import masks
from app.intake.grouping import Grouping
from app.intake.local_images import LocalImages
from app.learning import calibrating, fitting
from app.learning.fitting import Order
from app.lines import Line
from app.results import Learned
from app.service import Service
from app.storage.version_rows import Entry
from detector.errors import InvalidSpecError
from detector.spec import Mask as MaskKind

MaskFile = Annotated[
    Path | None,
    typer.Option(help="Image or polygons (JSON), for a detector that takes a mask per request."),
]
Folder = Annotated[Path, typer.Argument(exists=True, help="Image, or folder of images.")]
Pattern = Annotated[
    str | None,
    typer.Option(
        help="Regular expression whose first group, in a file's path, is the image's group: "
        "lot, session or camera."
    ),
]
Parameter = Annotated[
    list[str] | None, typer.Option(help="Parameter of the method: KEY=VALUE, as k=3.")
]


def fit(
    name: Name,
    folder: Folder,
    scorer: Annotated[str | None, typer.Option(help="For a new detector.")] = None,
    descriptor: Annotated[str | None, typer.Option(help="For a new detector.")] = None,
    image_size: Annotated[int | None, typer.Option(help="For a new detector.")] = None,
    roi: Annotated[
        Path | None, typer.Option(help="For a new detector: image or polygons of what counts.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="For a new detector: KEY=VALUE, as flips=true.")
    ] = None,
    mask: MaskFile = None,
    extend: Annotated[bool, typer.Option(help="Add to what the detector knows.")] = False,
    group_pattern: Pattern = None,
    reason: Reason = "",
) -> None:
    """Fit a detector to normal images; create it if there is none of that name."""

    async def work(service: Service) -> None:
        images = _images(folder, mask, group_pattern)
        chosen = {"scorer": scorer, "descriptor": descriptor, "image_size": image_size}
        what: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
        if option:
            what["options"] = option_text.parse(option)
        if roi and mask:
            raise InvalidSpecError("--roi fixes the mask for good, --mask sends one: choose")
        if roi:
            most = service.settings.max_image_pixels
            what["mask"] = masks.from_upload(roi.read_bytes(), max_pixels=most)
        try:
            service.storage.versions.entry(name)
        except UnknownDetectorError:
            kind: MaskKind = "fixed" if roi else "request" if mask else "none"
            service.catalogue.create(name, by(reason), mask_kind=kind, **what)
        else:
            if what:
                raise InvalidSpecError(
                    f"detector {name!r} exists: {', '.join(what)} can only be given to a new one"
                )
        with _order("fit", len(images), reason) as order:
            learned = await fitting.fit(service, name, images, order, extend=extend)
        report(learned.rejected)
        _say(learned, f"{learned.used} image(s) fitted now")
        typer.echo(f"Next: gatewatch calibrate {name} FOLDER")

    run(work)


def calibrate(
    name: Name,
    folder: Folder,
    target: Annotated[float, typer.Option(help="Highest false-alarm rate, a fraction.")] = 0.05,
    method: Annotated[str, typer.Option(help="See docs/thresholds.md.")] = "conformal",
    parameter: Parameter = None,
    anomalies: Annotated[
        Path | None, typer.Option(exists=True, help="Known anomalies: image or folder.")
    ] = None,
    by_group: Annotated[bool, typer.Option(help="A line for every group.")] = False,
    review_target: Annotated[
        float | None, typer.Option(help="Images above the line of this rate are uncertain.")
    ] = None,
    mask: MaskFile = None,
    group_pattern: Pattern = None,
    reason: Reason = "",
) -> None:
    """Set the threshold from normal images that were not fitted."""

    async def work(service: Service) -> None:
        images = _images(folder, mask, group_pattern, anomalies)
        line = Line(method, _parameters(method, target, parameter), by_group, review_target)
        with _order("calibrate", len(images), reason) as order:
            learned = await calibrating.calibrate(service, name, images, order, line)
        report(learned.rejected)
        threshold = learned.stored.detector.require_threshold()
        _say(learned, f"threshold {threshold.value:.6g}")
        typer.echo(threshold.statement)
        if learned.groups and learned.groups.warning:
            typer.echo(f"Warning: {learned.groups.warning}", err=True)

    run(work)


def forget(
    name: Name,
    sha256: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of an image's file; may be repeated.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="A group; may be repeated.")] = None,
    reason: Reason = "",
) -> None:
    """Take images out of what was fitted, exactly."""

    async def work(service: Service) -> None:
        with _order("forget", 0, reason) as order:
            forgotten = await fitting.forget(
                service, name, order, digests=sha256 or [], groups=group or []
            )
        _say(forgotten, f"{forgotten.used} image(s) forgotten")

    run(work)


def threshold(
    name: Name,
    method: Annotated[
        str | None, typer.Option(help="See docs/thresholds.md; conformal unless given.")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Highest false-alarm rate, a fraction; else 0.05.")
    ] = None,
    parameter: Parameter = None,
    by_group: Annotated[bool, typer.Option(help="A line for every group.")] = False,
    review_target: Annotated[
        float | None, typer.Option(help="Images above the line of this rate are uncertain.")
    ] = None,
    reason: Reason = "",
) -> None:
    """Draw the line elsewhere, reading no image; without a choice tell where it is."""
    choices = (method, target, parameter or None, by_group or None, review_target)
    reads = all(choice is None for choice in choices)

    async def work(service: Service) -> None:
        if reads:
            _tell(service.catalogue.with_threshold(name, None))
            return
        how = method or "conformal"
        parameters = _parameters(how, 0.05 if target is None else target, parameter)
        line = Line(how, parameters, by_group, review_target)
        stored = service.set_threshold(name, by(reason), line)
        drawn = stored.detector.require_threshold()
        typer.echo(f"{name} version {stored.detector.version}: threshold {drawn.value:.6g}")
        typer.echo(drawn.statement)

    run(work)


def _images(
    folder: Path, mask: Path | None, pattern: str | None, anomalies: Path | None = None
) -> LocalImages:
    found = LocalImages.of([folder], mask=mask, anomalies=[anomalies] if anomalies else [])
    if pattern is None:
        return found
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InvalidSpecError(f"--group-pattern cannot be read: {error}") from error
    if expression.groups < 1:
        raise InvalidSpecError("--group-pattern needs a group in parentheses")
    matches = {entry.name: expression.search(entry.name) for entry in found.entries}
    named = {name: match[1] for name, match in matches.items() if match and match[1]}
    grouping = Grouping(named=named)
    return LocalImages.of(
        [folder], mask=mask, grouping=grouping, anomalies=[anomalies] if anomalies else []
    )


def _parameters(method: str, target: float, pairs: list[str] | None) -> dict[str, float]:
    """Return a method's parameters; the target is given to those that take one."""
    found = {"target": target} if method in ("conformal", "quantile", "chi2", "evt") else {}
    for pair in pairs or []:
        key, _, value = pair.partition("=")
        try:
            found[key] = float(value)
        except ValueError as error:
            raise InvalidSpecError(f"--parameter {pair!r}: give KEY=NUMBER") from error
    return found


def _tell(entry: Entry) -> None:
    """Say where the line in service is."""
    version = entry.version
    line, stale = version.summary["threshold"], version.summary["stale"]
    typer.echo(f"{entry.name} version {version.version}: threshold {line['value']:.6g}")
    typer.echo(line["statement"])
    if stale:
        typer.echo("It is stale: images were fitted or forgotten since the calibration")


@contextmanager
def _order(what: str, images: int, reason: str) -> Iterator[Order]:
    with tqdm(total=images or None, unit="image", desc=what) as bar:
        yield Order(by(reason), uuid.uuid4().hex, progress=bar.update)


def _say(learned: Learned, what: str) -> None:
    detector, entry = learned.stored.detector, learned.stored.entry
    serves = "in service" if entry.in_service == detector.version else "not in service"
    typer.echo(
        f"{entry.name} version {detector.version} ({serves}): {what}, "
        f"{detector.fitted_images} fitted in all"
        + ("; calibrate it, for its threshold is stale" if detector.stale else "")
    )
