"""Adapt the backbone's gates to normal images, and keep them only if that helps.

It works on a backbone of its own and changes nothing that is in service. The same images, options
and gates to begin with give the same gates, whoever does it and however often it was begun.
"""

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from app import problems
from app.errors import (
    CannotAdaptError,
    NoAdaptedGatesError,
)
from app.intake.spool import Images
from app.learning.adapt_options import Options
from app.results import Rejected
from app.settings import Settings
from app.storage.blobs import Blobs
from app.storage.jobs import Job
from detector import adapt as domain
from detector import imaging
from detector.adapt import Adapted
from detector.embedder import Embedder
from detector.errors import DegenerateDataError, MaskMismatchError, SampleError

Tell = Callable[[str, int, int], object]
"""Called with what is under way, and how many steps and images of how many are done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, and the images that could not be used."""

    adapted: Adapted
    rejected: list[Rejected]


def require_adaptable(settings: Settings) -> None:
    """Refuse what would be refused after the images were read.

    Raises:
        CannotAdaptError: if the backbone's gates cannot be adapted.
    """
    if settings.backbone != domain.BACKBONE:
        raise CannotAdaptError(
            f"only the gates of {domain.BACKBONE} can be adapted, and GATEWATCH_BACKBONE is "
            f"{settings.backbone}"
        )


def adapt(settings: Settings, images: Images, options: Options, tell: Tell) -> Outcome:
    """Adapt the gates that the settings name to normal images; it takes minutes, on this thread.

    Args:
        settings: with backbone, weights to begin with, device and limits of an image.
        images: normal ones; their names decide which are held out.
        options: how.
        tell: may raise, to stop it.

    Raises:
        CannotAdaptError: if the backbone's gates cannot be adapted.
        BackboneError: if the gates to begin with cannot be read.
        MaskMismatchError: if a mask was sent.
        DegenerateDataError: if there are too few images.
    """
    require_adaptable(settings)
    if images.mask is not None:
        raise MaskMismatchError("gates are adapted to whole images: send no mask")
    chosen = _drawn(images, options)
    steps = _Steps(tell, len(chosen))
    steps.total += domain.most_ticks([images.entries[place].name for place in chosen])
    # Not the backbone in service: that one embeds for others at the same time, one at a time.
    embedder = Embedder.load(settings.backbone, settings.device, settings.threads, settings.weights)
    pixels, names, rejected = _read(settings, images, chosen, embedder, options.size, steps)
    try:
        steps.total = len(chosen) + domain.most_ticks(names)
    except DegenerateDataError as error:
        raise DegenerateDataError(f"{error}; {_of_these(rejected)}") from error
    adapted = domain.adapt(
        embedder, pixels, names, gates=settings.weights, seed=options.seed, tick=steps
    )
    steps("done", steps.total - steps.done)  # training may have stopped early
    return Outcome(adapted, rejected)


def keep(blobs: Blobs, job_id: str, adapted: Adapted) -> str:
    """Keep a job's gates as a blob; return the SHA-256 of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gates.safetensors"
        sha256 = adapted.save(path)
        blobs.put_file(blob_of(job_id), path)
    return sha256


def gates_of(blobs: Blobs, job: Job) -> bytes:
    """Return the file of the gates that a job has kept.

    Raises:
        NoAdaptedGatesError: if it kept none.
    """
    if job.kind != "adapt":
        raise NoAdaptedGatesError(f"job {job.id} is of kind {job.kind}: it adapts no gates")
    if job.result is None:
        raise NoAdaptedGatesError(
            f"job {job.id} has no gates: its state is {job.state}, and only a job that succeeded "
            "may have some"
        )
    if not job.result["kept"]:
        raise NoAdaptedGatesError(
            f"job {job.id} kept no gates; go on with those you have. {job.result['reason']}"
        )
    return blobs.get(blob_of(job.id))


def blob_of(job_id: str) -> str:
    """Return the name of the blob of a job's gates; ``app.storage.sweep`` knows it too."""
    return f"gates/{job_id}.safetensors"


class _Steps:
    """Adds up what was done."""

    def __init__(self, tell: Tell, total: int) -> None:
        self.done, self.total = 0, total
        self._tell = tell

    def __call__(self, task: str, steps: int) -> None:
        self.done += steps
        self._tell(task, self.done, self.total)


def _drawn(images: Images, options: Options) -> list[int]:
    """Return the places of the images to use, by name: the order of arrival plays no part."""
    names = [PurePath(entry.name).parts for entry in images.entries]
    places = sorted(range(len(names)), key=names.__getitem__)
    picked = random.Random(options.seed).sample(range(len(places)), min(options.limit, len(places)))
    return [places[at] for at in sorted(picked)]


def _read(
    settings: Settings,
    images: Images,
    chosen: list[int],
    embedder: Embedder,
    size: int,
    steps: _Steps,
) -> tuple[list[imaging.Pixels], list[str], list[Rejected]]:
    """Return prepared images, their names, and those that could not be read."""
    pixels, names, rejected = [], [], []
    for place in chosen:
        name = images.entries[place].name
        try:
            picture = imaging.decode(
                images.read(place),
                max_pixels=settings.max_image_pixels,
                min_side=settings.min_image_side,
                side_px=size,
            )
        except SampleError as error:
            rejected.append(Rejected(name, problems.of(error).model_dump()))
        else:
            pixels.append(embedder.prepare(picture, size))
            names.append(name)
        steps("read", 1)
    return pixels, names, rejected


def _of_these(rejected: list[Rejected]) -> str:
    if not rejected:
        return "all images could be read"
    return (
        f"{len(rejected)} more could not be used, the first, {rejected[0].name!r}: "
        f"{rejected[0].detail}"
    )
