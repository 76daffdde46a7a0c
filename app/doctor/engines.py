"""How fast each engine is on this machine: threads of a pass, passes at a time, batch sizes."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from app.doctor.advice import Point, best
from app.scoring.queue import Prepared
from app.settings import Settings
from detector import imaging
from detector.embedder import Embedder, EngineChoice
from detector.errors import BackboneError
from detector.spec import DEFAULT_IMAGE_SIZE

ENGINES: tuple[EngineChoice, ...] = tuple(e for e in get_args(EngineChoice) if e != "auto")
BATCHES = (1, 2, 4, 8, 16)
SCANNED_BATCH = 4
POINT_S = 1.0
"""How long one point is measured at least."""


def load(engine: EngineChoice, threads: int | None, settings: Settings, cache: Path) -> Embedder:
    """Return the settings' backbone on an engine that is ready.

    Raises:
        BackboneError: if there is no such engine for this device, backbone and precision.
    """
    embedder = Embedder.load(
        settings.backbone,
        settings.device,
        threads,
        weights=settings.weights,
        engine=engine,
        cache=cache,
        precision=settings.precision,
    )
    if engine != "torch" and not embedder.warm(DEFAULT_IMAGE_SIZE, wait=True):
        raise BackboneError("it does not run this backbone: see the warning above")
    return embedder


def prepared(embedder: Embedder, content: bytes, settings: Settings) -> Prepared:
    """Return a picture as the service prepares it."""
    side = DEFAULT_IMAGE_SIZE
    pixels = imaging.decode(
        content,
        max_pixels=settings.max_image_pixels,
        min_side=settings.min_image_side,
        side_px=side,
    )
    return embedder.prepare(pixels, side)


def measured(
    engine: EngineChoice, content: bytes, settings: Settings, cache: Path, cores: int
) -> Iterator[Point]:
    """Yield the rate of every number of threads at one batch, then every batch at the best.

    Raises:
        BackboneError: as ``load``.
    """
    scanned: dict[Point, Embedder] = {}
    for threads in layouts(cores):
        embedder = load(engine, threads, settings, cache)
        point = _point(embedder, threads, SCANNED_BATCH, prepared(embedder, content, settings))
        scanned[point] = embedder
        yield point
        if embedder.device != "cpu":
            break  # threads of the CPU matter little to a device of its own
    chosen = best(list(scanned))
    embedder = scanned[chosen]
    if engine == "torch":  # whose threads are of the process: those of the last that was loaded
        embedder = load(engine, chosen.threads, settings, cache)
    sample = prepared(embedder, content, settings)
    for batch in BATCHES:
        if batch != SCANNED_BATCH:
            yield _point(embedder, chosen.threads, batch, sample)


def layouts(cores: int) -> list[int]:
    """Return the threads of a pass that are tried: powers of two, and all cores."""
    return sorted({2**power for power in range(cores.bit_length()) if 2**power <= cores} | {cores})


def _point(embedder: Embedder, threads: int, batch: int, sample: Prepared) -> Point:
    rate = images_per_s(embedder, [sample] * batch)
    return Point(embedder.engine, threads, embedder.lanes, batch, rate)


def images_per_s(embedder: Embedder, samples: Sequence[Prepared]) -> float:
    """Return the images a second of an engine with all of its lanes at work."""
    embedder.embed(samples)  # warms it
    passes = [0] * embedder.lanes
    begun_s = time.perf_counter()

    def work(lane: int) -> None:
        while not passes[lane] or time.perf_counter() < begun_s + POINT_S:
            embedder.embed(samples)
            passes[lane] += 1

    lanes = [threading.Thread(target=work, args=(lane,)) for lane in range(embedder.lanes)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    return sum(passes) * len(samples) / (time.perf_counter() - begun_s)
