"""Every set, seed and configuration in turn: read, fit, score, measure."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.bench.configurations import Configuration
from app.bench.images import Prepared, Reader
from app.bench.layouts import BenchError, ImageSet, TestImage
from app.bench.measure import Contestant, Group, Numbers
from app.bench.pixels import rank_pixels
from app.bench.results import Row
from app.bench.watch import SHARED, Watch, peak_rss_bytes
from detector.errors import DegenerateDataError
from detector.metrics import auroc, auroc_interval

CHUNK = 32  # images folded into the moments, or scored, at a time
Tick = Callable[[str, int], object]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: sets, seeds of the draw of training images, images fitted, side."""

    sets: Sequence[ImageSet]
    seeds: Sequence[int]
    side_px: int
    train_limit: int

    def train(self, image_set: ImageSet, seed: int) -> list[Path]:
        """Return the training images of a seed: all, or as many as the limit drawn at random."""
        if len(image_set.train) <= self.train_limit:
            return image_set.train
        return sorted(random.Random(seed).sample(image_set.train, self.train_limit))

    def images(self) -> int:
        """Return how many images one group reads."""
        each = (min(len(one.train), self.train_limit) + len(one.test) for one in self.sets)
        return sum(each) * len(self.seeds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row with what plots need; scores and maps are in the order of ``images``."""

    row: Row
    configuration: Configuration
    images: Sequence[TestImage]
    scores: Numbers
    maps: Numbers | None

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        """Which images are anomalous."""
        return np.array([image.anomalous for image in self.images])


@dataclass(frozen=True, slots=True)
class Failure:
    """A configuration that could not be fitted to a set, and why."""

    image_set: str
    configuration: Configuration
    reason: str


@dataclass(slots=True)
class _Heat:
    """A group on one set with one seed, and what came of it so far."""

    group: Group
    image_set: ImageSet
    seed: int
    side_px: int
    reader: Reader
    tick: Tick
    fit: Watch = field(default_factory=Watch)
    score: Watch = field(default_factory=Watch)
    train_images: int = 0
    images: list[TestImage] = field(default_factory=list)
    shapes: list[tuple[int, int]] = field(default_factory=list)


def run(
    plan: Plan, groups: Sequence[Group], reader: Reader, tick: Tick
) -> Iterator[Outcome | Failure]:
    """Yield the outcome of every group, set, seed and configuration, in this order.

    Args:
        plan: what to measure.
        groups: who takes part.
        reader: of the images; it notes those it cannot read.
        tick: told what is under way and how many images were done.

    Raises:
        BenchError: if no image of some kind can be read in a set.
    """
    for group in groups:
        for image_set in plan.sets:
            for seed in plan.seeds:
                heat = _Heat(group, image_set, seed, plan.side_px, reader, tick)
                yield from _compete(heat, plan.train(image_set, seed))


def _compete(heat: _Heat, train: Sequence[Path]) -> Iterator[Outcome | Failure]:
    ready = []
    for contestant in _taught(heat, train):
        try:
            with heat.fit.running(contestant.configuration):
                contestant.fit()
        except DegenerateDataError as error:
            yield Failure(heat.image_set.name, contestant.configuration, str(error))
        else:
            ready.append(contestant)
    judged = _judged(heat, ready)
    for contestant in ready:
        yield _outcome(heat, contestant, *judged.pop(contestant.configuration))


def _taught(heat: _Heat, train: Sequence[Path]) -> list[Contestant]:
    """Return the contestants after they saw the training images."""
    contestants = heat.group.enter(heat.seed)
    for batch, features in _passes(heat, train, heat.fit, fitting=True):
        for contestant in contestants:
            with heat.fit.running(contestant.configuration):
                contestant.collect(features)
        heat.train_images += len(batch)
        heat.tick(f"{heat.group.name}, {heat.image_set.name}: fit", len(batch))
    if not heat.train_images:
        raise BenchError(f"set {heat.image_set.name}: none of its training images can be read")
    return contestants


def _judged(
    heat: _Heat, contestants: Sequence[Contestant]
) -> dict[Configuration, tuple[Numbers, Numbers | None]]:
    """Return everyone's scores and maps of the test images; note in ``heat`` which these are."""
    scores: dict[Configuration, list[Numbers]] = {c.configuration: [] for c in contestants}
    maps: dict[Configuration, list[Numbers]] = {c.configuration: [] for c in contestants}
    paths = [image.path for image in heat.image_set.test]
    for batch, features in _passes(heat, paths, heat.score, fitting=False):
        for contestant in contestants:
            key = contestant.configuration
            with heat.score.running(key):
                some_scores, some_maps = contestant.judge(features)
            scores[key].append(some_scores)
            if some_maps is not None and (heat.image_set.has_masks or key.default):
                maps[key].append(some_maps)
        heat.images += [heat.image_set.test[one.index] for one in batch]
        heat.shapes += [one.shape for one in batch]
        heat.tick(f"{heat.group.name}, {heat.image_set.name}: score", len(batch))
    if len({image.anomalous for image in heat.images}) < 2:
        raise BenchError(f"set {heat.image_set.name}: all good or all anomalous are unreadable")
    return {
        key: (np.concatenate(parts), np.concatenate(maps[key]) if maps[key] else None)
        for key, parts in scores.items()
    }


def _passes(
    heat: _Heat, paths: Sequence[Path], watch: Watch, *, fitting: bool
) -> Iterator[tuple[list[Prepared], object]]:
    """Yield batches with their features; the time until they are there is shared."""
    batches = heat.reader.batches(paths, CHUNK)
    while True:
        with watch.running(SHARED):
            batch = next(batches, None)
            features = heat.group.embed([one.pixels for one in batch], fitting) if batch else None
        if batch is None:
            return
        yield batch, features


def _outcome(heat: _Heat, contestant: Contestant, scores: Numbers, maps: Numbers | None) -> Outcome:
    key = contestant.configuration
    anomalous = np.array([image.anomalous for image in heat.images])
    low, high = auroc_interval(scores, anomalous)
    pixels = None if maps is None else rank_pixels(maps, heat.images, heat.shapes, heat.reader)
    row = Row(
        set=heat.image_set.name,
        backbone=key.backbone,
        descriptor=key.descriptor,
        scorer=key.scorer,
        options=key.options,
        default=key.default,
        seed=heat.seed,
        size=heat.side_px,
        train_images=heat.train_images,
        test_images=len(heat.images),
        auroc=auroc(scores, anomalous),
        auroc_low=None if np.isnan(low) else low,
        auroc_high=None if np.isnan(high) else high,
        pixel_auroc=pixels.auroc() if pixels else None,
        pro=pixels.pro() if pixels else None,
        fit_seconds=heat.fit.seconds(key),
        ms_per_image=1e3 * heat.score.seconds(key) / len(heat.images),
        detector_bytes=contestant.size_bytes(),
        peak_rss_bytes=peak_rss_bytes(),
    )
    return Outcome(row, key, heat.images, scores, maps)
