"""The two stages of a fit on Ray: actors that read and prepare images, and actors that embed them.

They are scaled apart, for decoding needs cores and embedding devices. Chunks go from one to the
next (``app.ray.fit_chunks``), parts on to the driver (``app.bulk.part_file``). What an actor is
made with, and the errors that it raises, Ray pickles itself: whoever can join a cluster of Ray's
can run code on all of it, with or without us, so it belongs into a network of its own.
"""

import hashlib
import logging
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from app import problems
from app.bulk.errors import UnreadableSourceError
from app.bulk.fragments import Fragment, Item
from app.bulk.looking import left_out
from app.bulk.part import Part, Seen
from app.bulk.part_file import part_bytes
from app.bulk.plan import HoldOut
from app.bulk.sources import BUCKETS
from app.errors import InferenceError
from app.ray.backbones import Backbone
from app.ray.fit_chunks import Batch, Chunk, Pixels, Prepared, Task
from app.results import Rejected
from app.scoring.looking import look_of
from app.settings import Settings
from detector import imaging
from detector.detector import Detector
from detector.embedder import Embedder, Preparer
from detector.embedding import Embedding, mirrored
from detector.errors import (
    BackboneError,
    DeviceLostError,
    DeviceMemoryError,
    EngineNotReadyError,
    FingerprintMismatchError,
    SampleError,
)

log = logging.getLogger(__name__)

READS = 16
"""Objects of a bucket that one actor asks for at a time; most of its time it waits for them."""

Read = Callable[[Fragment], Iterable[Item]]


class Prepare:
    """Reads, decodes and resizes the images of fragments as the service does; has no network.

    Args:
        read: gives the images of a fragment.
        detector: that is fitted.
        preparer: of its backbone.
        settings: the limits on images.
        folder: that paths are relative to; the driver's.
    """

    def __init__(
        self, read: Read, detector: Detector, preparer: Preparer, settings: Settings, folder: Path
    ) -> None:
        self._folder = folder
        self._read, self._preparer, self._settings = read, preparer, settings
        self._look = look_of(detector, None)
        self._threads = ThreadPoolExecutor(READS, thread_name_prefix="read")

    def __call__(self, batch: Batch) -> Iterator[dict[str, list[Any]]]:
        """Yield the chunks of some fragments, one by one.

        Raises:
            StorageUnavailableError: if the store that they lie in fails.
            UnreadableSourceError: if a source cannot be read as a whole.
        """
        for text in batch["task"]:
            for chunk in self.chunks(Task.parse(text)):
                yield chunk.row

    def chunks(self, task: Task) -> Iterator[Chunk]:
        """Yield the chunks of a fragment that are to be made; its last one may be of no images."""
        coming = iter(self._read(self._at_hand(task.fragment)))
        number, met = 0, task.size
        while met == task.size:
            some = islice(coming, task.size)
            if number in task.done:
                met = sum(1 for _ in some)
            else:
                # Out of one file images come in its order: each is read before the next is found.
                alone = task.fragment.kind == "objects"
                images = list((self._threads.map if alone else map)(self._prepared, some))
                met = len(images)
                ends = met < task.size
                yield Chunk({"fragment": task.number, "chunk": number, "ends": ends}, images)
            number += 1

    def _at_hand(self, fragment: Fragment) -> Fragment:
        """Return a fragment, whose place was looked for: a missing one is no image's fault.

        Raises:
            UnreadableSourceError: if a folder or file is not to be found on this machine.
        """
        if not fragment.place.startswith(BUCKETS):
            if self._folder.is_dir():
                os.chdir(self._folder)
            if not os.path.exists(fragment.place or "."):
                raise UnreadableSourceError(
                    f"{fragment.place} is not on every machine of the cluster: {platform.node()} "
                    "has none; it takes a folder that all of them share, or a bucket"
                )
        return fragment

    def _prepared(self, item: Item) -> Prepared | Seen:
        sha256, limits = "", self._settings
        try:
            content = item.read()
            sha256 = hashlib.sha256(content).hexdigest()
            pixels = imaging.decode(
                content,
                max_pixels=limits.max_image_pixels,
                min_side=limits.min_image_side,
                side_px=self._look.side_px,
            )
        except SampleError as error:
            return left_out(item, sha256, error)
        except MemoryError:
            return left_out(item, sha256, InferenceError("there is no memory to decode this image"))
        prepared = self._preparer.prepare(pixels, self._look.side_px, self._look.mask)
        return Prepared(item.name, item.group, sha256, prepared)


class Embed:
    """Embedder prepared images, and makes one part of all that come together.

    Args:
        detector: that is fitted.
        hold_out: which images calibrate.
        settings: which backbone, and how it runs.
    """

    def __init__(self, detector: Detector, hold_out: HoldOut, settings: Settings) -> None:
        threadpool_limits(1, user_api="blas")  # as for a server: see app.main
        self._detector, self._hold_out, self._settings = detector, hold_out, settings
        self._embedder: Embedder | None = None

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """Return the part of some chunks, which names them.

        Raises:
            BackboneError: if the backbone cannot be had, or used, here.
            FingerprintMismatchError: if it is another one here.
            DeviceLostError, DeviceMemoryError: if the device can embed nothing.
        """
        chunks = list(map(Chunk.parse, batch["chunk"], batch["pixels"]))
        seen = self.seen([image for chunk in chunks for image in chunk.images])
        part = Part.of(self._detector, self._hold_out, seen)
        return {"part": [part_bytes(part, {"chunks": [chunk.key for chunk in chunks]})]}

    def seen(self, images: Sequence[Prepared | Seen]) -> list[Seen]:
        """Return what becomes of images. Raises as a call."""
        views = [self._views(image) for image in images]
        embedder = self._loaded()
        every = [view for each in views for view in each]
        most = self._settings.max_batch or embedder.best_batch
        outcomes = (
            outcome
            for start in range(0, len(every), most)
            for outcome in embedded(embedder, every[start : start + most])
        )
        return [
            _seen(image, list(islice(outcomes, len(each))))
            for image, each in zip(images, views, strict=True)
        ]

    def _views(self, image: Prepared | Seen) -> list[Pixels]:
        """Return what is embedded of an image: what is held out is looked at as it is."""
        if isinstance(image, Seen):
            return []
        fits = not self._hold_out.holds(image.sha256)
        flips = look_of(self._detector, None, fitting=fits).mirrored
        return mirrored(image.pixels) if flips else [image.pixels]

    def _loaded(self) -> Embedder:
        """Return the backbone; loaded within a call, whose errors reach the driver as they are."""
        if self._embedder is None:
            spec = self._detector.spec
            embedder = Backbone.of(self._settings).load(_with_folder(self._settings))
            if embedder.fingerprint != spec.backbone_fingerprint:
                raise FingerprintMismatchError(
                    f"a machine of the cluster has another backbone {embedder.name!r} than "
                    f"detector {spec.name!r} needs: give all the same version and the same files"
                )
            # Waits, so that all images are seen by the same engine.
            embedder.warm(spec.image_size, masked=spec.mask != "none", wait=True)
            self._embedder = embedder
        return self._embedder


def embedded(embedder: Embedder, views: Sequence[Pixels]) -> list[Embedding | InferenceError]:
    """Return the embedding of every view, in one pass; of halves of them if that fails.

    As ``app.scoring.batching`` does, but passes depend on nothing else than the views: who repeats
    them gets the same numbers.

    Raises:
        BackboneError, EngineNotReadyError, DeviceLostError: if it will fail at everything.
        DeviceMemoryError: if not even one view fits into its memory.
    """
    try:
        whole = embedder.embed(views)
    except (BackboneError, EngineNotReadyError, DeviceLostError):
        raise
    except Exception as error:
        if len(views) > 1:
            middle = len(views) // 2
            return embedded(embedder, views[:middle]) + embedded(embedder, views[middle:])
        if isinstance(error, DeviceMemoryError):
            raise
        log.error("the backbone failed on an image", exc_info=error)
        return [InferenceError("the backbone failed on this image")]
    return [whole.image(index) for index in range(len(views))]


def _seen(image: Prepared | Seen, outcomes: Sequence[Embedding | InferenceError]) -> Seen:
    """Return an image with the embedding of all of its views, or with its problem."""
    if isinstance(image, Seen):
        return image
    whole = [each for each in outcomes if isinstance(each, Embedding)]
    failed = [each for each in outcomes if not isinstance(each, Embedding)]
    outcome = (
        Rejected(image.name, problems.of(failed[0]).model_dump())
        if failed
        else Embedding.concatenate(whole)
    )
    return Seen(image.name, image.group, image.sha256, outcome)


def _with_folder(settings: Settings) -> Settings:
    """Return settings whose engines are kept here, where there may be no data directory."""
    if settings.data_dir.is_dir():
        return settings
    return settings.model_copy(update={"data_dir": Path(tempfile.gettempdir(), "gatewatch")})
