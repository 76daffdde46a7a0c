"""A fit at large on Ray: fragments are read and prepared, embedded, and their parts added up here.

Each chunk of images is counted once (``app.ray.fit_counting``): what a worker had under way when it
died is done again by another, and has not been counted. What was counted is kept in the folder of
the work, so that a run that was stopped goes on where it was.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray.data
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from app.bulk.errors import BulkError, ChangedSourcesError, UnfinishedError
from app.bulk.part import Part
from app.bulk.part_file import part_bytes, read_part
from app.bulk.plan import HoldOut
from app.bulk.reading import items
from app.bulk.shard_run import KEPT_EVERY_S, SHARE_KEEPING, Progress
from app.bulk.totals import Totals
from app.bulk.work import Done, Work, begun, write
from app.ray.fit_chunks import Task
from app.ray.fit_cluster import Actors, Cluster, connected, without_secrets
from app.ray.fit_counting import Counted
from app.ray.fit_stages import Embed, Prepare
from app.ray.fit_stopping import Stop
from app.scoring.looking import look_of
from app.settings import Settings
from detector.detector import Detector
from detector.embedder import Preparer
from detector.errors import DetectorError

CHUNK_IMAGES = 32
"""Images of a fragment that stay together: so many are prepared, embedded and counted, or none."""
PART_CHUNKS = 8
"""Chunks that become one part: it is as large as a detector, however few images it is of."""
BLOCKS = 2000
"""Most pieces in which the list of fragments is given to Ray."""


def run(
    work: Work,
    detector: Detector,
    hold_out: HoldOut,
    *,
    preparer: Preparer,
    settings: Settings,
    cluster: Cluster,
    progress: Progress = lambda _: None,
) -> Part:
    """Return the part of a shard, whose file is there when this returns; go on if it was begun.

    Args:
        work: what is to be done; every machine of the cluster reads it from the same places.
        detector: that is fitted; its statistics play no part.
        hold_out: which images calibrate.
        preparer: of the detector's backbone.
        settings: which backbone, on what, and the limits on images.
        cluster: where it runs.
        progress: told how many images were just done, those of an earlier run first.

    Raises:
        BulkError: if the cluster cannot be had or fails; what was done is kept.
        ChangedSourcesError, ArtefactError: if what was kept is of something else, or damaged.
        UnfinishedError: if the process is told to end; what was done is kept.
        TooManyFailedError: if too much was left out; what was done is kept.
        MaskMismatchError: if the detector wants a mask with every image.
        UnreadableSourceError, DetectorError: what has kept an actor from going on, in its words.
    """
    kept = _Kept(work, Part.of(detector, hold_out, ()))
    progress(kept.totals.images)
    tasks = kept.left
    if tasks:
        look_of(detector, None)  # refuses at once a detector that wants a mask with every image
        sent = without_secrets(settings)
        read = partial(items, how=work.how)
        makes = (read, detector, preparer, sent, Path.cwd())
        embeds = (detector, hold_out, sent)
        stop = Stop()
        with connected(cluster, settings) as actors, stop.listening(), kept.at_the_end():
            for part, about in _parts(tasks, makes, embeds, actors):
                with stop.later():
                    if kept.add(part, about):
                        progress(part.images)
    return kept.finished()


class _Kept:
    """What was counted, in a file beside that of the finished part, which other engines read."""

    def __init__(self, work: Work, none: Part) -> None:
        self._work = replace(work, kept=work.kept_by_ray)
        self._final = work.kept
        self._fragments = work.shard.share(work.fragments)
        self._counted = Counted(CHUNK_IMAGES)
        part, done = begun(work, none)
        self._whole = done.whole
        if not done.whole and work.kept.exists():
            raise ChangedSourcesError(
                f"{work.kept} was begun without Ray: finish it so, or remove it to begin anew"
            )
        if not done.whole and self._work.kept.exists():
            part, _ = begun(self._work, none)  # as it checks it
            self._counted = Counted.of(read_part(self._work.kept.read_bytes())[1]["counted"])
        self.totals = Totals(part)
        self._due_s = time.monotonic() + KEPT_EVERY_S

    @property
    def left(self) -> list[Task]:
        """What is still to be read."""
        return [] if self._whole else self._counted.left(self._fragments)

    def add(self, part: Part, about: dict[str, Any]) -> bool:
        """Count a part, if it is new; return whether it is."""
        is_new = self._counted.add(about["chunks"])
        if is_new:
            self.totals.add(part)
        if time.monotonic() >= self._due_s:
            self._save()
        return is_new

    @contextmanager
    def at_the_end(self) -> Iterator[None]:
        """Keep what was counted, if it ends early.

        Raises:
            UnfinishedError: if it was told to.
        """
        try:
            yield
        except KeyboardInterrupt:
            self._save()
            raise UnfinishedError(
                f"stopped after {self.totals.images} images; go on with the same command"
            ) from None
        except BaseException:
            self._save()
            raise

    def finished(self) -> Part:
        """Return the part, and leave its file.

        Raises:
            BulkError: if something was not counted; what was is kept.
            TooManyFailedError: if too much was left out; what was counted is kept, too.
        """
        whole = self.totals.whole()
        if not self._whole:
            try:
                if left := self.left:
                    raise BulkError(
                        f"Ray has ended without {len(left)} of {len(self._fragments)} fragments; "
                        "the same command goes on with them"
                    )
                self._work.require_used(whole, self._work.kept)
            except BulkError:
                self._save()
                raise
            about = self._work.about(Done(len(self._fragments), whole=True))
            write(self._final, part_bytes(whole, about))
            self._work.kept.unlink(missing_ok=True)
        return whole

    def _save(self) -> None:
        began_s = time.monotonic()
        about = {**self._work.about(Done()), "counted": self._counted.noted}
        write(self._work.kept, part_bytes(self.totals.whole(), about))
        now_s = time.monotonic()
        self._due_s = now_s + max(KEPT_EVERY_S, (now_s - began_s) / SHARE_KEEPING)


def _parts(
    tasks: Sequence[Task], makes: tuple[Any, ...], embeds: tuple[Any, ...], actors: Actors
) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Yield parts and what they are of, in any order.

    Raises:
        BulkError, DetectorError
    """
    rows = [task.row for task in tasks]
    parts = (
        ray.data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS))
        .map_batches(
            Prepare,
            fn_constructor_args=makes,
            batch_size=1,
            concurrency=actors.decoders,
            num_cpus=1,
        )
        .map_batches(
            Embed,
            fn_constructor_args=embeds,
            batch_size=PART_CHUNKS,
            concurrency=actors.workers,
            num_cpus=1,
            num_gpus=actors.gpus,
        )
    )
    try:
        for row in parts.iter_rows():
            yield read_part(row["part"])
    except (RayError, ExecutionTimeoutError) as error:
        raise told(error) from error


def told(error: BaseException) -> Exception:
    """Return what an actor has raised, out of what Ray makes of it; else that Ray has failed."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, DetectorError | BulkError):
            return inner
        inner = getattr(inner, "cause", None) or inner.__cause__
    return BulkError(f"the cluster has failed: {error}; the same command goes on where it was")
