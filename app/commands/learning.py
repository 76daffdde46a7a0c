"""The commands that change a fitted detector: ``calibrate``, ``forget``, ``threshold``."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.common import BaseVersion, Name, Reason
from app.commands.following import followed
from app.commands.samples import Samples, noun
from app.commands.sent import Folder, MaskFile, Pattern, Sent
from app.commands.target import KeyFile, Url, opened
from app.intake.grouping import check_group
from app.schemas.base import MAX_VERSION
from detector.errors import InvalidSpecError
from detector.thresholds import configure
from gatewatch import DetectorInfo, NewThreshold, RejectedImage, Threshold

SHA256 = re.compile("[0-9a-f]{64}")
Parameter = Annotated[
    list[str] | None, typer.Option(help="Parameter of the method: KEY=VALUE, as k=3.")
]


def calibrate(
    name: Name,
    folder: Folder,
    target: Annotated[float, typer.Option(help="Highest false-alarm rate, a fraction.")] = 0.05,
    method: Annotated[str, typer.Option(help="See docs/thresholds.md.")] = "conformal",
    parameter: Parameter = None,
    anomalies: Annotated[
        Path | None, typer.Option(exists=True, help="Known anomalies: file or folder.")
    ] = None,
    by_group: Annotated[bool, typer.Option(help="A line for every group.")] = False,
    review_target: Annotated[
        float | None, typer.Option(help="Images above the line of this rate are uncertain.")
    ] = None,
    mask: MaskFile = None,
    group_pattern: Pattern = None,
    base: BaseVersion = None,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Set the threshold from normal images that were not fitted."""
    with opened(url, key_file, name) as there:
        samples = Samples.of_detector(there, name)
        sent = Sent.of(folder, mask, group_pattern, anomalies, samples=samples)
        job = there.calibrate(
            name,
            sent.images,
            anomalies=sent.anomalies,
            threshold=new_line(method, target, parameter, by_group, review_target),
            base=base,
            reason=reason,
            **sent.about,
        )
        done = followed(job, "calibrate", samples.noun)
        report(done.rejected)
        say(done.detector, f"threshold {done.threshold.value:.6g}", done.warnings)
        typer.echo(done.threshold.statement)


def forget(
    name: Name,
    sha256: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of an image's file; may be repeated.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="A group; may be repeated.")] = None,
    base: BaseVersion = None,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Take images out of what was fitted, exactly."""
    digests, groups = sha256 or [], group or []
    if not (digests or groups):
        raise typer.BadParameter("name the images to forget, by --sha256 or by --group")
    if "" in groups:
        raise typer.BadParameter("--group is the name of a group")
    strays = [text for text in digests if not SHA256.fullmatch(text)]
    if strays:
        raise typer.BadParameter(f"{strays[0]!r} is no SHA-256: 64 of 0-9 and a-f")
    with opened(url, key_file, name) as target:
        for each in groups:
            check_group(each)
        job = target.forget(name, sha256=digests, groups=groups, base=base, reason=reason)
        done = followed(job, "forget")
        what = f"{done.forgotten} {noun(done.detector.kind)}(s) forgotten"
        say(done.detector, what, done.warnings)


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
    base: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_VERSION, help="Version to build on; else the one in service."),
    ] = None,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Draw the line elsewhere, reading no image; without a choice tell where it is."""
    choices = (method, target, parameter or None, by_group or None, review_target)
    tells = all(choice is None for choice in choices)
    if tells and base is not None:
        raise typer.BadParameter("--base goes with a new line: name its --target, or --method")
    with opened(url, key_file, name) as there:
        if tells:
            line = there.threshold(name)
            _tell(name, line)
            if line.stale:
                typer.echo("It is stale: images were fitted or forgotten since the calibration")
            return
        rate = 0.05 if target is None else target
        wanted = new_line(method or "conformal", rate, parameter, by_group, review_target)
        drawn = there.set_threshold(name, wanted, base=base, reason=reason)
        _tell(name, drawn)
        warn(drawn.warnings)


def new_line(
    method: str,
    target: float,
    pairs: Sequence[str] | None,
    by_group: bool,
    review_target: float | None,
) -> NewThreshold:
    """Return what is asked for; the target is given to those methods that take one.

    Raises:
        InvalidSpecError: if there is no such method, or its parameters cannot be.
    """
    found = {"target": target} if method in ("conformal", "quantile", "chi2", "evt") else {}
    for pair in pairs or []:
        key, _, value = pair.partition("=")
        try:
            found[key] = float(value)
        except ValueError as error:
            raise InvalidSpecError(f"--parameter {pair!r}: give KEY=NUMBER") from error
    configure(method, found)
    if review_target is not None:
        configure("conformal", {"target": review_target})
    rest: dict[str, Any] = {**found, "by_group": by_group, "review_target": review_target}
    return NewThreshold(method=method, **rest)  # type: ignore[arg-type]  # it was looked up


def _tell(name: str, line: Threshold) -> None:
    """Say where the line is, and what is promised about it."""
    typer.echo(f"{name} version {line.version}: threshold {line.value:.6g}")
    typer.echo(line.statement)


def report(rejected: Sequence[RejectedImage]) -> None:
    """Say which images were left out, and why."""
    for image in rejected:
        typer.echo(f"left out {image.name}: {image.problem.detail}", err=True)


def say(made: DetectorInfo, what: str, warnings: Sequence[str]) -> None:
    """Say what a version is now, and what to know of it."""
    serves = "in service" if made.in_service == made.version else "not in service"
    typer.echo(
        f"{made.name} version {made.version} ({serves}): {what}, {made.fitted_images} fitted in all"
        + ("; calibrate it, for its threshold is stale" if made.stale else "")
    )
    warn(warnings)


def warn(warnings: Sequence[str]) -> None:
    """Say what to know."""
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)
