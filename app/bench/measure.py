"""What takes part in a benchmark, and how it learns and judges: the one contact with detectors.

Contestants of a *group* share one pass over the images: our configurations share the embedding,
each peer runs its own network.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.bench import configurations
from app.bench.configurations import Configuration
from app.bench.layouts import BenchError
from detector import peers
from detector.artefact import fit_bytes
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding, mirrored
from detector.imaging import Pixels
from detector.spec import Spec
from detector.statistics import Statistics, merge

Numbers = NDArray[np.floating[Any]]


class Contestant(Protocol):
    """A configuration at work on one set; ``features`` are what its group's pass gave."""

    configuration: Configuration

    def collect(self, features: Any) -> None:
        """Take in normal images."""

    def fit(self) -> None:
        """Learn from what was collected."""

    def judge(self, features: Any) -> tuple[Numbers, Numbers | None]:
        """Return scores (n,) and, where there are any, maps (n, g, g) of the whole image."""

    def size_bytes(self) -> int:
        """Return the size of what was learned."""


@dataclass(frozen=True, slots=True)
class Group:
    """Contestants, made anew for a set and seed, and the pass over the images that they share."""

    name: str
    configurations: Sequence[Configuration]
    embed: Callable[[Sequence[Pixels], bool], Any]
    """From images, and whether they will be fitted, to features."""
    enter: Callable[[int], list[Contestant]]


class Ours:
    """A detector; its statistics are merged as the images come, so that memory does not grow."""

    def __init__(self, spec: Spec, configuration: Configuration) -> None:
        self.configuration = configuration
        self._detector = Detector(spec)
        self._statistics: Statistics = {}

    def collect(self, features: Embedding) -> None:
        """Merge the statistics of these images."""
        self._statistics = merge(self._statistics, self._detector.statistics_of(features))

    def fit(self) -> None:
        """Learn from the statistics.

        Raises:
            DegenerateDataError: if the images define no distance.
        """
        self._detector = self._detector.learn(self._statistics, extend=False)

    def judge(self, features: Embedding) -> tuple[Numbers, Numbers | None]:
        """Return scores and maps."""
        verdicts = self._detector.judge(features)
        maps = [verdict.cells for verdict in verdicts if verdict.cells is not None]
        return np.array([v.score for v in verdicts]), np.stack(maps) if maps else None

    def size_bytes(self) -> int:
        """Return the size of the file of what was fitted."""
        return len(fit_bytes(self._detector))


class Theirs:
    """A method of anomalib; it keeps the features of all images until it is fitted."""

    def __init__(self, configuration: Configuration, embedder: Embedder, seed: int) -> None:
        self.configuration = configuration
        self._peer = peers.Peer(configuration.scorer, embedder.device, seed)
        self._step = embedder.best_batch

    def collect(self, features: Sequence[Pixels]) -> None:
        """Run the network and keep the features."""
        for part in _parts(features, self._step):
            self._peer.collect(part)

    def fit(self) -> None:
        """Learn from all features."""
        self._peer.fit()

    def judge(self, features: Sequence[Pixels]) -> tuple[Numbers, Numbers | None]:
        """Run the network; return scores and maps."""
        judged = [self._peer.judge(part) for part in _parts(features, self._step)]
        scores, maps = zip(*judged, strict=True)
        return np.concatenate(scores), np.concatenate(maps)

    def size_bytes(self) -> int:
        """Return the size of the learned tensors."""
        return self._peer.state_bytes


def our_groups(
    embedder: Embedder, written: Sequence[str], side_px: int, *, usual: bool = True
) -> list[Group]:
    """Return our configurations: those wanted, as ``descriptor/scorer:options``, or all scorers.

    Those that also fit mirrored images form a group of their own, for they embed more. ``usual``:
    whether the service runs this backbone, without which no configuration is the default.

    Raises:
        BenchError: if one is not of that form.
        InvalidSpecError: if a descriptor, a scorer, an option or the size does not exist.
    """
    default = Spec("bench", embedder.name, embedder.fingerprint, image_size=side_px)
    specs = configurations.wanted(default, written) if written else configurations.existing(default)
    plain = [spec for spec in specs if not spec.options.flips]
    flipped = [spec for spec in specs if spec.options.flips]
    groups = [("gatewatch", plain, False), ("gatewatch, mirrored too", flipped, True)]
    reference = default if usual else None
    return [_group(name, embedder, some, reference, flips) for name, some, flips in groups if some]


def _group(
    name: str, embedder: Embedder, specs: Sequence[Spec], default: Spec | None, flips: bool
) -> Group:
    def embed(images: Sequence[Pixels], fitting: bool) -> Embedding:
        if flips and fitting:
            images = [view for image in images for view in mirrored(image)]
        parts = _parts(images, embedder.best_batch)
        return Embedding.concatenate([embedder.embed(part) for part in parts])

    entries = {configurations.describe(spec, default): spec for spec in specs}

    def enter(_seed: int) -> list[Contestant]:
        return [Ours(spec, configuration) for configuration, spec in entries.items()]

    return Group(name, list(entries), embed, enter)


def peer_groups(embedder: Embedder) -> list[Group]:
    """Return the methods of anomalib, one group each.

    Raises:
        BenchError: if anomalib is not installed, or our backbone does not share their trunk.
    """
    if embedder.name != peers.OURS:
        raise BenchError(
            f"--compare is on the trunk of {peers.OURS}, the backbone is {embedder.name}: "
            "they would not be compared on one network"
        )
    if not peers.installed():
        raise BenchError("anomalib is not installed: pip install 'gatewatch[compare]'")

    def group(name: str) -> Group:
        configuration = Configuration(peers.BACKBONE, "-", name)
        return Group(
            name,
            [configuration],
            lambda images, _fitting: list(images),
            lambda seed: [Theirs(configuration, embedder, seed)],
        )

    return [group(name) for name in peers.PEERS]


def _parts(images: Sequence[Pixels], size: int) -> Iterator[Sequence[Pixels]]:
    return (images[start : start + size] for start in range(0, len(images), size))
