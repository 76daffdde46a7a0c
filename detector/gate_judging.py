"""Judging gates: how well detectors on them tell defective images from normal ones.

Detectors are fitted to normal images and have to tell other normal images from the same with
defects::

    criterion = mean AUROC of  gaussian on gate,  gaussian on gate_logit,  the default scorer

The gate pattern of defects is how far they move the gates, in units of how much gates vary anyway::

    pattern = mean over channels c of  mean |g_c(defective) - g_c(normal)| / std g_c(normal)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import DegenerateDataError
from detector.gate_report import Figures
from detector.metrics import auroc
from detector.options import Options
from detector.scorers import DEFAULT_SCORER
from detector.spec import Spec

Image = UInt8[np.ndarray, "3 s s"]

JUDGES = {
    "gate/gaussian": ("gate", "gaussian"),
    "gate_logit/gaussian": ("gate_logit", "gaussian"),
    DEFAULT_SCORER: ("", DEFAULT_SCORER),
}
"""Name -> descriptor and scorer."""
MARGIN = 0.005
"""How much the criterion must rise, and how little the default scorer may fall."""


@dataclass(frozen=True, slots=True)
class Images:
    """Normal images to fit, others to judge by, and these with defects, kind after kind."""

    fit: Sequence[Image]
    normal: Sequence[Image]
    defective: Sequence[Image]

    def __len__(self) -> int:
        return len(self.fit) + len(self.normal) + len(self.defective)


def judge(embedder: Embedder, images: Images, tick: Callable[[int], object]) -> Figures:
    """Return what the embedder's gates are worth.

    Args:
        embedder: with the gates to judge.
        images: prepared by an embedder of this name.
        tick: told how many images were embedded since.
    """
    parts = [_embed(embedder, part, tick) for part in (images.fit, images.normal, images.defective)]
    return Figures(
        {
            name: _auroc(
                Spec(
                    "judge",
                    embedder.name,
                    embedder.fingerprint,
                    scorer,
                    descriptor,
                    options=Options(evidence=0),
                ),
                *parts,
            )
            for name, (descriptor, scorer) in JUDGES.items()
        },
        pattern(*parts[1:]),
    )


def _embed(embedder: Embedder, images: Sequence[Image], tick: Callable[[int], object]) -> Embedding:
    parts = []
    for start in range(0, len(images), embedder.best_batch):
        batch = images[start : start + embedder.best_batch]
        parts.append(embedder.embed(batch))
        tick(len(batch))
    return Embedding.concatenate(parts)


def _auroc(spec: Spec, fit: Embedding, normal: Embedding, defective: Embedding) -> float:
    """Return a detector's AUROC; chance, 0.5, where the rows do not vary and none can be fitted."""
    detector = Detector(spec)
    try:
        detector = detector.learn(detector.statistics_of(fit), extend=False)
    except DegenerateDataError:
        return 0.5
    scores = np.concatenate([detector.scores(normal), detector.scores(defective)])
    return auroc(scores, np.arange(len(scores)) >= len(normal))


def pattern(normal: Embedding, defective: Embedding) -> float:
    """Return the gate pattern of defects; ``defective`` is the normal images, kind after kind."""
    moved = []
    for block, gates in normal.gate.items():
        kinds = defective.gate[block].reshape(-1, *gates.shape)
        moved.append(np.abs(kinds - gates).mean(axis=(0, 1)) / np.maximum(gates.std(axis=0), 1e-6))
    return float(np.concatenate(moved).mean())


def verdict(before: Figures, after: Figures) -> tuple[bool, str]:
    """Return whether the later gates are to be kept, and why."""
    gain = after.criterion - before.criterion
    default = after.auroc[DEFAULT_SCORER] - before.auroc[DEFAULT_SCORER]
    helped = gain > MARGIN and default >= -MARGIN
    return helped, (
        f"{'It helped' if helped else 'It did not help'}: mean AUROC {gain:+.4f}, "
        f"{DEFAULT_SCORER} {default:+.4f} on held-out images against synthetic defects"
    )
