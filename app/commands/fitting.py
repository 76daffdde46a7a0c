"""The command ``gatewatch fit``: a folder of samples by a job, any more of images by ``bulk``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.common import BaseVersion, Name, Reason
from app.commands.creating import check, complete, described, kind_named, made
from app.commands.following import followed
from app.commands.large import Asked, Finish, require_together
from app.commands.learning import Parameter, report, say
from app.commands.samples import Samples, noun
from app.commands.sent import MaskFile, Pattern, Sent
from app.commands.target import KeyFile, Url, failures, opened, refuse_key_file

LARGE = "Fit at large"
"""Panel of the options that belong to it, in the help."""


def _option(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=LARGE)


def _count(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=LARGE, min=1)


def fit(
    name: Name,
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folder of samples, or one; of images at large also several, tar and Parquet "
            "files, and s3://BUCKET/... of all these."
        ),
    ],
    kind: Annotated[
        str | None, typer.Option(help="For a new detector: what its samples are, if not images.")
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option(help="For a new detector of such: KEY=VALUE, as rate_hz=16000."),
    ] = None,
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
    base: BaseVersion = None,
    group_pattern: Pattern = None,
    hold_out: Annotated[
        float | None, _option("Share of the images to calibrate on, not fitted; 0.1 at large.")
    ] = None,
    calibration_images: Annotated[
        int | None, _option("Most images that are kept of those held out, drawn; 1000.")
    ] = None,
    seed: Annotated[int | None, _option("Another one than 0 holds out other images.")] = None,
    target: Annotated[float | None, _option("Highest false-alarm rate, a fraction; 0.05.")] = None,
    method: Annotated[str | None, _option("See docs/thresholds.md; conformal.")] = None,
    parameter: Parameter = None,
    image_column: Annotated[
        str | None, _option("Of Parquet files, if several could hold images.")
    ] = None,
    most_failed: Annotated[
        float | None,
        _option("Share of the images that may be left out because they cannot be used; 0.5."),
    ] = None,
    allow_damaged: Annotated[
        bool | None, _option("Do without what cannot be read of damaged files.")
    ] = None,
    rejected: Annotated[
        Path | None, _option("File for all images that were left out, as NDJSON.")
    ] = None,
    shard: Annotated[
        str | None, _option("Do this share alone, I/N from 1/N to N/N; then gatewatch merge.")
    ] = None,
    out: Annotated[Path | None, _option("With --shard: file of the part.")] = None,
    work: Annotated[
        Path | None,
        _option("Folder of what is done, to go on from; else GATEWATCH_DATA_DIR."),
    ] = None,
    engine: Annotated[str, _option("What does it: here, or ray, which needs its extra.")] = "here",
    workers: Annotated[int | None, _count("With ray: actors that embed.")] = None,
    decoders: Annotated[int | None, _count("With ray: actors that read and decode.")] = None,
    ray_address: Annotated[
        str | None, _option("Of the cluster; else RAY_ADDRESS, or one of this machine's cores.")
    ] = None,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Fit a detector to normal samples; create it if there is none of that name."""
    with failures():
        what = described(kind, view, scorer, descriptor, image_size)
    asked = Asked(
        sources,
        what,
        option,
        roi,
        extend,
        group_pattern,
        hold_out,
        calibration_images,
        seed,
        Finish(target, method, parameter, most_failed, allow_damaged, rejected, reason),
        image_column,
        shard,
        out,
        work,
        engine,
        workers,
        decoders,
        ray_address,
    )
    if asked.is_large:
        if base is not None:
            raise typer.BadParameter("--base is for folders: a fit at large builds on the tip")
        require_together(asked, mask=bool(mask), at_server=bool(url))
        refuse_key_file(key_file)
        from app.commands import bulk  # here: other commands need none of the service

        bulk.fit(name, asked)
        return
    (folder,) = map(Path, sources)
    if not folder.exists():
        raise typer.BadParameter(f"Path {str(folder)!r} does not exist.", param_hint="'SOURCES...'")
    with opened(url, key_file) as there:
        check(name, what)
        samples = Samples.of(there, kind_named(there, name, what))
        sent = Sent.of(folder, mask, group_pattern, samples=samples)
        complete(there, what, roi, option, asks_mask=mask is not None)
        if base is not None:
            there.detector(name)  # nobody makes one to build on it
        made(there, name, what, asks_mask=mask is not None, reason=reason)
        begin = there.extend if extend else there.fit
        job = begin(name, sent.images, base=base, reason=reason, **sent.about)
        done = followed(job, "fit", samples.noun)
        report(done.rejected)
        say(done.detector, f"{done.fitted} {noun(samples.kind)}(s) fitted now", done.warnings)
        typer.echo(f"Next: gatewatch calibrate {name} FOLDER")
