"""A fit's first half, for kinds without weights of their own: a network learns from the samples.

It is kept under the run's name until a version holds it, so that a fit that was stopped while
rows were made goes on with the network that made them.
"""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from app.errors import MissingBlobError
from app.intake.spool import Images
from app.learning.order import Order
from app.service import Service
from app.storage.detector_files import network_blob
from app.unbroken import stoppable, unbroken
from detector.errors import ArtefactError, DegenerateDataError, SampleError
from detector.kinds import LearnedKind
from detector.kinds.learned import Learned, learn, read, steps_of

SEED = 0
MOST_BYTES = 2**30
"""Decoded samples in memory to learn from; of more, so many are drawn as there is room for."""


async def trained(
    service: Service,
    kind: LearnedKind[Any, Any],
    view: Mapping[str, Any],
    images: Images,
    detector_id: str,
    order: Order,
) -> Learned:
    """Return a network that has learned from a job's samples, or had before the job was stopped.

    Args:
        service: whose device and blobs are used.
        kind: of the samples.
        view: how they are looked at.
        images: the samples; of more than the kind's ``most_samples`` so many are drawn.
        detector_id: of the detector.
        order: whose run it is, and who is told of every sample read and every step.

    Raises:
        DegenerateDataError: if there are too few usable samples, or nothing to learn.
        StorageUnavailableError
    """
    name = network_blob(detector_id, order.run)
    device, blobs = service.networks.device, service.storage.blobs
    try:
        learned = await asyncio.to_thread(lambda: read(kind, blobs.get(name), device))
    except (MissingBlobError, ArtefactError):
        pass
    else:
        service.networks.keep(learned)
        return learned
    places = await asyncio.to_thread(_drawn, images, kind.most_samples)
    most = len(places) + steps_of(kind)
    order.expect(most)

    def work(require_going: Callable[[], None]) -> Learned:
        done = 0

        def tick(steps: int) -> None:
            nonlocal done
            require_going()
            done += steps
            order.progress(steps)

        chosen = kind.view(view)
        samples, wrong = _read(kind, chosen, images, places, tick)
        seconds = service.settings.training_seconds
        try:
            made = learn(
                kind, samples, chosen, device=device, seed=SEED, seconds=seconds, tick=tick
            )
        except DegenerateDataError as error:
            raise DegenerateDataError(f"{error}{wrong}") from error
        order.progress(most - done)  # training may have stopped early
        return made

    learned = await stoppable(work)
    await unbroken(asyncio.to_thread(partial(blobs.put, name, learned.to_bytes())))
    service.networks.keep(learned)
    return learned


def _drawn(images: Images, most: int) -> list[int]:
    """Return the places of the samples to learn from, each content once, in order of digests.

    So neither names nor the order and way of arrival play a part.
    """
    known: dict[str, int] = {}
    for place, entry in enumerate(images.entries):
        with contextlib.suppress(SampleError):  # a file that has gone: the fit tells of it
            digest = entry.sha256 or hashlib.sha256(images.read(place)).hexdigest()
            known.setdefault(digest, place)
    drawn = random.Random(SEED).sample(sorted(known), min(most, len(known)))
    return [known[digest] for digest in sorted(drawn)]


def _read(
    kind: LearnedKind[Any, Any],
    view: Any,
    images: Images,
    places: list[int],
    tick: Callable[[int], None],
) -> tuple[list[Any], str]:
    """Return samples that can be read, up to ``MOST_BYTES``; what is wrong with the first other.

    They come in order of digests, so that those which are left out are anybody.
    """
    samples: list[Any] = []
    wrong, size = "", 0
    for place in places:
        tick(1)
        if size > MOST_BYTES:
            continue
        try:
            samples.append(kind.decode(images.read(place), view))
            size += kind.weight(samples[-1])
        except SampleError as error:
            name = images.entries[place].name
            wrong = wrong or f"; the first that cannot be used, {name!r}: {error}"
    return samples, wrong
