"""Gates adapted to one kind of image: trained on normal images, kept only if that helps.

A stable hash of their names splits the normal images in a part to learn from and a held-out part.
Gates are adapted to the first (``models.adaptation``). The gates as they were and those adapted
are judged by the second (``detector.gate_judging``), against defects planted by generators that
adapting never used. Adapted gates are kept if the criterion rises by more than 0.005 and the
default scorer's AUROC does not fall by more than 0.005.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.embedder import Embedder
from detector.errors import BackboneError, DegenerateDataError
from detector.gate_judging import Image, Images, judge, verdict
from detector.gate_report import Report
from models import adaptation
from models.adaptation import Adapter
from models.checkpoints import WeightsError, save_gates
from models.gate_training import is_held_out
from models.synthetic_defects import JUDGED, plant

BACKBONE = "se-lite0"
HELD_OUT_SHARE = 0.3
LEAST_TRAIN, LEAST_HELD_OUT = adaptation.MIN_IMAGES, 8


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
    train, apart = len(names) - sum(chosen), sum(chosen)
    if train < LEAST_TRAIN or apart < LEAST_HELD_OUT:
        raise DegenerateDataError(
            f"{len(names)} normal images give {train} to learn from and {apart} held out; "
            f"{LEAST_TRAIN} and {LEAST_HELD_OUT} are needed: add images, 50 or more will do"
        )
    return chosen


def most_ticks(names: Sequence[str]) -> int:
    """Return how many steps and images ``adapt`` tells of, at most: training may stop early."""
    judged = len(names) + sum(held_out(names)) * len(JUDGED)
    return 2 * judged + adaptation.ROUNDS * adaptation.STEPS


def adapt(
    embedder: Embedder,
    images: Sequence[Image],
    names: Sequence[str],
    *,
    gates: Path | None = None,
    seed: int = 0,
    tick: Callable[[str, int], object] = lambda _task, _done: None,
) -> Adapted:
    """Adapt gates to normal images and judge whether that helps.

    Args:
        embedder: with the gates to begin with.
        images: prepared by the embedder, all of one side.
        names: of the images, which decide what is held out.
        gates: the file the embedder's gates come from; None for those shipped.
        seed: of training and of the planted defects.
        tick: told what is under way and how many steps or images of it were done since.

    Raises:
        BackboneError: if the backbone is not ``se-lite0``, or its gates cannot be read.
        DegenerateDataError: if there are too few images.
    """
    if embedder.name != BACKBONE:
        raise BackboneError(f"only the gates of {BACKBONE} can be adapted, not {embedder.name}'s")
    apart = held_out(names)
    train, normal = (
        [image for image, out in zip(images, apart, strict=True) if out == wanted]
        for wanted in (False, True)
    )
    try:
        adapter = Adapter(np.stack(train).transpose(0, 2, 3, 1), gates=gates, seed=seed)
    except WeightsError as error:
        raise BackboneError(str(error)) from error
    judged = Images(train, normal, planted(normal, seed))
    before = judge(embedder, judged, lambda done: tick("judge", done))
    losses = adapter.train(lambda done: tick("adapt", done))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gates.safetensors"
        save_gates(adapter.network, file, {})
        adapted = Embedder.load(BACKBONE, embedder.device, weights=file)
    after = judge(adapted, judged, lambda done: tick("judge", done))
    kept, reason = verdict(before, after)
    report = Report(
        kept=kept,
        reason=reason,
        train_images=len(train),
        held_out_images=len(normal),
        side_px=images[0].shape[1],
        seed=seed,
        losses=losses,
        before=before,
        after=after,
        fingerprint_before=embedder.fingerprint,
        fingerprint_after=adapted.fingerprint,
    )
    return Adapted(report, adapter)


def planted(images: Sequence[Image], seed: int) -> list[Image]:
    """Return every image with one defect of each kind kept for judging, kind after kind."""
    rng = np.random.default_rng([seed, 4])
    return [
        np.ascontiguousarray(
            plant(image.transpose(1, 2, 0), {name: kind}, rng)[0].transpose(2, 0, 1)
        )
        for name, kind in JUDGED.items()
        for image in images
    ]
