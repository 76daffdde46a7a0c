"""The commands that change a detector: ``fit``, ``calibrate``, ``forget``, ``threshold``."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands import option_text
from app.commands.common import Name, Reason
from app.commands.following import followed
from app.commands.sent import Folder, MaskFile, Pattern, Sent
from app.commands.target import NOT_THERE, KeyFile, Target, Url, limits, opened
from app.images import masks
from app.intake.grouping import check_group
from detector.errors import InvalidSpecError
from detector.spec import Spec
from detector.thresholds import configure
from gatewatch import DetectorInfo, NewThreshold, RejectedImage, Threshold

SHA256 = re.compile("[0-9a-f]{64}")
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
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Fit a detector to normal images; create it if there is none of that name."""
    chosen = {"scorer": scorer, "descriptor": descriptor, "image_size": image_size}
    what: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
    with opened(url, key_file) as target:
        sent = Sent.of(folder, mask, group_pattern)
        if option:
            what["options"] = asdict(option_text.parse(option))
        if roi and mask:
            raise InvalidSpecError("--roi fixes the mask for good, --mask sends one: choose")
        if roi:
            most = limits(target)["max_image_pixels"]
            what["mask"] = masks.from_upload(roi.read_bytes(), max_pixels=most)
        _made(target, name, what, asks_mask=mask is not None, reason=reason)
        begin = target.extend if extend else target.fit
        done = followed(begin(name, sent.images, reason=reason, **sent.about), "fit")
        report(done.rejected)
        _say(done.detector, f"{done.fitted} image(s) fitted now", done.warnings)
        typer.echo(f"Next: gatewatch calibrate {name} FOLDER")


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
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Set the threshold from normal images that were not fitted."""
    with opened(url, key_file, name) as there:
        sent = Sent.of(folder, mask, group_pattern, anomalies)
        job = there.calibrate(
            name,
            sent.images,
            anomalies=sent.anomalies,
            threshold=_line(method, target, parameter, by_group, review_target),
            reason=reason,
            **sent.about,
        )
        done = followed(job, "calibrate")
        report(done.rejected)
        _say(done.detector, f"threshold {done.threshold.value:.6g}", done.warnings)
        typer.echo(done.threshold.statement)


def forget(
    name: Name,
    sha256: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of an image's file; may be repeated.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="A group; may be repeated.")] = None,
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
        job = target.forget(name, sha256=digests, groups=groups, reason=reason)
        done = followed(job, "forget")
        _say(done.detector, f"{done.forgotten} image(s) forgotten", done.warnings)


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
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Draw the line elsewhere, reading no image; without a choice tell where it is."""
    choices = (method, target, parameter or None, by_group or None, review_target)
    with opened(url, key_file, name) as there:
        if all(choice is None for choice in choices):
            line = there.threshold(name)
            _tell(name, line)
            if line.stale:
                typer.echo("It is stale: images were fitted or forgotten since the calibration")
            return
        rate = 0.05 if target is None else target
        wanted = _line(method or "conformal", rate, parameter, by_group, review_target)
        drawn = there.set_threshold(name, wanted, reason=reason)
        _tell(name, drawn)
        _warn(drawn.warnings)


def _made(target: Target, name: str, what: dict[str, Any], *, asks_mask: bool, reason: str) -> None:
    """Create a detector, unless there is one; then nothing may be asked of a new one."""
    told = {key: value for key, value in what.items() if key not in ("mask", "options")}
    Spec(name, "", "", **told)  # refuse what cannot be, in the same words wherever it is asked
    try:
        target.detector(name)
    except NOT_THERE:
        mask = what.pop("mask", "request" if asks_mask else None)
        target.create(name, mask=mask, reason=reason, **what)
    else:
        if what:
            raise InvalidSpecError(
                f"detector {name!r} exists: {', '.join(what)} can only be given to a new one"
            )


def _line(
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


def _say(made: DetectorInfo, what: str, warnings: Sequence[str]) -> None:
    serves = "in service" if made.in_service == made.version else "not in service"
    typer.echo(
        f"{made.name} version {made.version} ({serves}): {what}, {made.fitted_images} fitted in all"
        + ("; calibrate it, for its threshold is stale" if made.stale else "")
    )
    _warn(warnings)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)
