"""Gates adapted to one kind of image: trained on normal images, kept only if that helps.

A stable hash of their names splits the normal images in a part to learn from and a held-out part.
Gates are adapted to the first (``models.adaptation``). Then, with the gates as they were and with
those adapted, detectors are fitted to the first part and have to tell the held-out images from the
same images with synthetic defects, planted by generators that adapting never used::

    criterion = mean AUROC of  gaussian on gate,  gaussian on gate_logit,  fusion
    kept      = criterion rises by more than 0.005  and  fusion falls by no more than 0.005

The gate pattern of a defect is how far it moves the gates, in units of how much they vary anyway::

    pattern = mean over channels c of  mean |g_c(defective) - g_c(normal)| / std g_c(normal)
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import BackboneError, DegenerateDataError
from detector.metrics import auroc
from detector.options import Options
from detector.scorers import DEFAULT_SCORER
from detector.spec import Spec
from models import adaptation
from models.adaptation import Adapter
from models.checkpoints import WeightsError, save_gates
from models.gate_training import is_held_out
from models.synthetic_defects import JUDGED, plant

Image = UInt8[np.ndarray, "3 s s"]
Tick = Callable[[str, int], object]
"""Told what is under way and how many images or steps of it were done."""

BACKBONE = "se-lite0"
HELD_OUT_SHARE = 0.3
LEAST_TRAIN, LEAST_HELD_OUT = adaptation.MIN_IMAGES, 8
MARGIN = 0.005
"""How much the criterion must rise, and how little fusion may fall."""
JUDGES = {
    "gate/gaussian": ("gate", "gaussian"),
    "gate_logit/gaussian": ("gate_logit", "gaussian"),
    DEFAULT_SCORER: ("", DEFAULT_SCORER),
}
TRAINING_STEPS = adaptation.ROUNDS * adaptation.STEPS
"""At most; training stops early when it no longer helps."""


@dataclass(frozen=True, slots=True)
class Figures:
    """AUROC of every judge against synthetic defects, and the gate pattern; all held out."""

    auroc: Mapping[str, float]
    pattern: float

    @property
    def criterion(self) -> float:
        """Mean AUROC; nan if a detector could not be fitted."""
        return float(np.mean(list(self.auroc.values())))


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, what it gave, and whether it is kept."""

    kept: bool
    reason: str
    train_images: int
    held_out_images: int
    side_px: int
    seed: int
    losses: list[float]
    before: Figures
    after: Figures
    fingerprint_before: str
    fingerprint_after: str

    def as_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A report and the gates it speaks of."""

    report: Report
    adapter: Adapter

    def save(self, path: Path) -> str:
        """Write the gates, with the report as metadata, and their digest; return the digest."""
        return save_gates(self.adapter.network, path, {"adaptation": self.report.as_json()})


def held_out(names: Sequence[str]) -> list[bool]:
    """Say of every image whether it is held out, by a stable hash of its name.

    Raises:
        DegenerateDataError: if either part would be too small.
    """
    chosen = [is_held_out(Path(name), HELD_OUT_SHARE) for name in names]
    train, kept = len(names) - sum(chosen), sum(chosen)
    if train < LEAST_TRAIN or kept < LEAST_HELD_OUT:
        raise DegenerateDataError(
            f"{len(names)} normal images give {train} to learn from and {kept} held out; "
            f"{LEAST_TRAIN} and {LEAST_HELD_OUT} are needed: add images (50 or more will do)"
        )
    return chosen


def adapt(
    embedder: Embedder,
    images: Sequence[Image],
    names: Sequence[str],
    *,
    gates: Path | None = None,
    seed: int = 0,
    tick: Tick = lambda _task, _done: None,
) -> Adapted:
    """Adapt gates to normal images and judge whether that helps.

    Args:
        embedder: with the gates to begin with.
        images: prepared by the embedder, all of one side.
        names: of the images, which decide what is held out.
        gates: the file the embedder's gates come from; None for those shipped.
        seed: of training and of the planted defects.
        tick: told of ``TRAINING_STEPS`` steps at most, and of ``judged_images`` images twice.

    Raises:
        BackboneError: if the backbone is not ``se-lite0``, or its gates cannot be read.
        DegenerateDataError: if there are too few images, or they do not vary.
    """
    if embedder.name != BACKBONE:
        raise BackboneError(f"only the gates of {BACKBONE} can be adapted, not {embedder.name}'s")
    apart = held_out(names)
    train = [image for image, out in zip(images, apart, strict=True) if not out]
    normal = [image for image, out in zip(images, apart, strict=True) if out]
    defective = planted(normal, seed)
    before = _judge(embedder, train, normal, defective, tick)
    if not np.isfinite(before.criterion):
        raise DegenerateDataError("the images do not vary: add different pictures")
    try:
        adapter = Adapter(np.stack(train).transpose(0, 2, 3, 1), gates=gates, seed=seed)
    except WeightsError as error:
        raise BackboneError(str(error)) from error
    losses = adapter.train(lambda done: tick("adapt", done))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gates.safetensors"
        save_gates(adapter.network, file, {})
        adapted = Embedder(BACKBONE, embedder.device, weights=file)
    after = _judge(adapted, train, normal, defective, tick)
    kept, reason = verdict(before, after)
    report = Report(
        kept,
        reason,
        len(train),
        len(normal),
        images[0].shape[1],
        seed,
        losses,
        before,
        after,
        embedder.fingerprint,
        adapted.fingerprint,
    )
    return Adapted(report, adapter)


def judged_images(names: Sequence[str]) -> int:
    """Return how many images are embedded to judge gates once: all, and those with defects."""
    return len(names) + sum(held_out(names)) * len(JUDGED)


def planted(images: Sequence[Image], seed: int) -> list[Image]:
    """Return every image with one defect of each kind kept for judging, kind by kind."""
    rng = np.random.default_rng([seed, 4])
    return [
        np.ascontiguousarray(
            plant(image.transpose(1, 2, 0), {name: kind}, rng)[0].transpose(2, 0, 1)
        )
        for name, kind in JUDGED.items()
        for image in images
    ]


def verdict(before: Figures, after: Figures) -> tuple[bool, str]:
    """Return whether adapted gates are kept, and why."""
    gain = after.criterion - before.criterion
    fusion = after.auroc[DEFAULT_SCORER] - before.auroc[DEFAULT_SCORER]
    if not np.isfinite(gain):
        return False, "it did not help: adapted gates are the same for all images"
    said = f"mean AUROC {gain:+.4f}, {DEFAULT_SCORER} {fusion:+.4f} on held-out synthetic defects"
    if gain > MARGIN and fusion >= -MARGIN:
        return True, f"it helped: {said}"
    return False, f"it did not help: {said}"


def _judge(
    embedder: Embedder,
    train: Sequence[Image],
    normal: Sequence[Image],
    defective: Sequence[Image],
    tick: Tick,
) -> Figures:
    parts = [_embed(embedder, images, tick) for images in (train, normal, defective)]
    scores = {
        name: _auroc(embedder, descriptor, scorer, parts)
        for name, (descriptor, scorer) in JUDGES.items()
    }
    return Figures(scores, pattern(parts[1], parts[2]))


def _embed(embedder: Embedder, images: Sequence[Image], tick: Tick) -> Embedding:
    parts = []
    for start in range(0, len(images), embedder.best_batch):
        batch = images[start : start + embedder.best_batch]
        parts.append(embedder.embed(batch))
        tick("judge", len(batch))
    return Embedding.concatenate(parts)


def _auroc(embedder: Embedder, descriptor: str, scorer: str, parts: Sequence[Embedding]) -> float:
    """Return the AUROC of a detector on (fitted, normal, defective) images; nan if unfit."""
    options = Options(evidence=0)
    detector = Detector(
        Spec("adapt", embedder.name, embedder.fingerprint, scorer, descriptor, options=options)
    )
    try:
        detector = detector.learn(detector.statistics_of(parts[0]), extend=False)
    except DegenerateDataError:
        return float("nan")
    scores = [detector.scores(part) for part in parts[1:]]
    anomalous = np.repeat([False, True], [len(part) for part in scores])
    return auroc(np.concatenate(scores), anomalous)


def pattern(normal: Embedding, defective: Embedding) -> float:
    """Return the gate pattern of defects in the normal images, kind after kind in their order."""
    moved = []
    for block, gates in normal.gate.items():
        kinds = defective.gate[block].reshape(-1, *gates.shape)
        moved.append(np.abs(kinds - gates).mean(axis=(0, 1)) / np.maximum(gates.std(axis=0), 1e-6))
    return float(np.concatenate(moved).mean())
