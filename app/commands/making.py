"""What the commands of a fit at large do in turn: words to a plan, that to a part, to versions."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import typer
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.bulk import shard_run
from app.bulk.errors import BulkError
from app.bulk.finishing import Finished, finish, run_of
from app.bulk.fragments import Fragment
from app.bulk.part import IS_REST, Part
from app.bulk.plan import HoldOut
from app.bulk.work import Work
from app.catalogue import kind_of_entry
from app.commands import option_text
from app.commands.large import Asked, Finish
from app.commands.local.base import by
from app.errors import UnknownDetectorError, WrongKindError
from app.images import masks
from app.learning.order import Order
from app.main import create_service, open_storage
from app.scoring.ingest import Ingest
from app.settings import Settings
from app.storage.database import SQLITE
from app.storage.versions import Versions
from app.telemetry import Telemetry
from detector.detector import Detector
from detector.embedder import Embedder
from detector.errors import InvalidSpecError
from detector.kinds import DEFAULT_KIND
from detector.spec import Mask as MaskKind
from detector.spec import Spec

TOLD_AT_MOST = 5
T = TypeVar("T")


def part_here(name: str, asked: Asked, settings: Settings, plan: HoldOut, work: Work) -> Part:
    """Return the part of a shard, made in this process; no database is needed."""
    embedder = embedder_of(settings)
    detector = _detector(name, asked, settings, embedder)
    # What sees the pictures is decided first: all processes must see them alike.
    embedder.warm(detector.spec.image_size, masked=detector.mask is not None, wait=True)
    mine = work.shard.share(work.fragments)
    with threadpool_limits(1, user_api="blas"), _bar(mine) as bar:  # as for a server

        async def make() -> Part:
            ingest = Ingest(settings, embedder, Telemetry())
            ingest.start()
            try:
                return await shard_run.run(ingest, detector, plan, work, bar.update)
            finally:
                await ingest.stop()

        return asyncio.run(make())


def part_on_ray(name: str, asked: Asked, settings: Settings, plan: HoldOut, work: Work) -> Part:
    """Return the part of all images, made by a cluster of Ray's."""
    try:
        from app.ray import fit as ray_fit
        from app.ray.fit_cluster import Cluster
    except ImportError as error:
        raise BulkError(
            f"--engine ray needs the extra [ray]: pip install 'gatewatch[ray]' ({error})"
        ) from error
    embedder = embedder_of(settings)
    detector = _detector(name, asked, settings, embedder)
    with _bar(work.fragments) as bar:
        return ray_fit.run(
            work,
            detector,
            plan,
            preparer=embedder.preparer,
            settings=settings,
            cluster=Cluster(asked.ray_address or "", asked.workers, asked.decoders),
            progress=bar.update,
        )


def embedder_of(settings: Settings, *, exports: bool = True) -> Embedder:
    """Return the backbone, as for a server; graphs are kept only where a server keeps them."""
    return Embedder.load(
        settings.backbone,
        settings.device,
        settings.threads,
        weights=settings.weights,
        engine=settings.engine,
        precision=settings.precision,
        cache=settings.data_dir / "engines" if settings.data_dir.is_dir() else None,
        exports=exports,
    )


def _bar(fragments: Sequence[Fragment]) -> "tqdm[Any]":
    """Return a bar for the images of fragments, as many as can be told beforehand."""
    known = all(each.kind in ("files", "objects") for each in fragments)
    total = sum(len(each.names) for each in fragments) if known else None
    return tqdm(total=total, unit="image", desc="fit")


def _detector(name: str, asked: Asked, settings: Settings, embedder: Embedder) -> Detector:
    """Return the detector that is stored, if there is one; else one of what was asked for."""
    known = _stored(name, settings)
    what = dict(asked.what)
    if asked.option:
        what["options"] = option_text.parse(asked.option)
    fixed = None
    if asked.roi:
        most = settings.max_image_pixels
        fixed = masks.from_upload(asked.roi.read_bytes(), max_pixels=most)
    backbone, fingerprint = embedder.name, embedder.fingerprint
    if known is None:
        kind: MaskKind = "none" if fixed is None else "fixed"
        return Detector(Spec(name, backbone, fingerprint, mask=kind, **what), fixed)
    if what or asked.roi:
        given = ", ".join([*what, *(["roi"] if asked.roi else [])])
        raise InvalidSpecError(f"detector {name!r} exists: {given} can only be given to a new one")
    spec = replace(known.spec, backbone=backbone, backbone_fingerprint=fingerprint)
    return Detector(spec, known.mask)


def require_images(name: str, asked: Asked, settings: Settings) -> None:
    """Refuse a fit at large of another kind, whose network is to learn from all samples first.

    Raises:
        WrongKindError: if the detector that is there, or is asked for, is of one.
    """
    kind = asked.what.get("kind", DEFAULT_KIND)
    known = _looked_up(settings, lambda versions: kind_of_entry(versions.entry(name)).name)
    if (known or kind) != DEFAULT_KIND:
        raise WrongKindError(
            f"a fit at large is of images, and detector {name!r} is of kind {known or kind!r}: "
            f"give one folder and none of the options of a fit at large, gatewatch fit {name} "
            f"FOLDER, and then gatewatch calibrate {name} FOLDER"
        )


def _stored(name: str, settings: Settings) -> Detector | None:
    """Return the detector that a fit builds on, if there is one."""
    return _looked_up(
        settings, lambda versions: versions.get(name, versions.entry(name).tip).detector
    )


def _looked_up(settings: Settings, find: Callable[[Versions], T]) -> T | None:
    """Return what is found of a detector, if there is one; no database is made to look."""
    if settings.database is None and not (settings.data_dir / SQLITE).exists():
        return None
    storage = open_storage(settings)
    try:
        return find(storage.versions)
    except UnknownDetectorError:
        return None
    finally:
        storage.close()


def finished(
    name: str,
    part: Part,
    files: Sequence[Path],
    asked: Finish,
    settings: Settings,
    *,
    extend: bool,
) -> Finished:
    """Make versions of the part of all images, whose files are given, and say what they are."""
    tell(part, asked.rejected)
    embedder = embedder_of(settings, exports=False)  # it embeds nothing any more
    order = Order(by(asked.reason), run_of(files, name, extend=extend))

    async def make() -> Finished:
        service = create_service(settings, embedder)
        async with service:
            return await finish(
                service,
                name,
                part,
                order,
                asked.line,
                extend=extend,
                allowed=asked.allowed,
            )

    return asyncio.run(make())


def tell(part: Part, file: Path | None) -> None:
    """Say which images were left out: the first of them, and all in a file."""
    if file is not None:
        lines = (
            json.dumps({"name": each.name, "problem": dict(each.problem)}) for each in part.rejected
        )
        file.write_text("".join(f"{line}\n" for line in lines))
    rests = part.rests
    for rest in rests:  # each of them may be many images
        typer.echo(f"damaged {rest.name}: {rest.detail}", err=True)
    images = [each for each in part.rejected if not each.problem.get(IS_REST)]
    for image in images[:TOLD_AT_MOST]:
        typer.echo(f"left out {image.name}: {image.detail}", err=True)
    if more := len(images[TOLD_AT_MOST:]):
        where = f"all are in {file}" if file else "--rejected FILE lists all"
        typer.echo(f"left out {more} more; {where}", err=True)
