"""What a window's change looks like, in one plain sentence: a guess by stated rules, not a proof.

A property of the pictures has changed if the ratio of its medians, window to calibration, leaves
the range below and Mann and Whitney's test gives p <= 0.01; the share of flagged images if Fisher's
exact test does. The first rule that holds is the cause:

1. brightness changed by more than a tenth       lighting
2. sharpness below 0.8 or above 1.25             focus, movement or a dirty lens
3. contrast changed by more than a tenth         haze, glare or exposure
4. more images are flagged, pictures as before   defects or something new in the scene
5. else, with pictures known                     a new material, product or position
6. pictures not known                            no cause is named
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Float
from scipy.stats import fisher_exact, mannwhitneyu

from detector.calibration import Share
from detector.drift.baseline import INPUTS

SURE = 0.01
USUAL: Mapping[str, tuple[float, float]] = {
    "brightness": (1 / 1.1, 1.1),
    "contrast": (1 / 1.1, 1.1),
    "sharpness": (0.8, 1.25),
}
"""Ratios of medians that are not remarkable."""

_CAUSES = {
    "brightness": "lighting",
    "sharpness": "focus, movement or a dirty lens",
    "contrast": "haze, glare or exposure",
}
_VERBS = {
    "mean": "shifted",
    "scale": "changed in spread",
    "correlation": "changed in how channels move together",
}


@dataclass(frozen=True)
class Circumstances:
    """What the window's pictures and verdicts were like beside the calibration's.

    Attributes:
        ratios: of the medians of brightness, contrast and sharpness; empty if not known.
        changed: those of them that changed by the rules above.
        flagged: share of the window's images above the line.
        flagged_before: the same of the calibration.
        share_changed: whether these differ by the rule above.
    """

    ratios: Mapping[str, float]
    changed: tuple[str, ...]
    flagged: Share
    flagged_before: Share
    share_changed: bool

    @property
    def more_flagged(self) -> bool:
        """Whether there are more flagged images than before."""
        return self.share_changed and self.flagged.rate > self.flagged_before.rate

    @property
    def cause(self) -> str:
        """What it looks like; empty if pictures are not known and no more are flagged."""
        for name, cause in _CAUSES.items():
            if name in self.changed:
                return f"{cause} ({name} x{self.ratios[name]:.2f})"
        if self.more_flagged:
            return "defects or something new in the scene"
        return "a new material, product or position" if self.ratios else ""


def circumstances(
    flagged: tuple[Share, Share],
    inputs: tuple[Float[np.ndarray, "M 3"], Float[np.ndarray, "n 3"]] | None,
) -> Circumstances:
    """Return the circumstances; pairs are calibration first, window second."""
    before, now = flagged
    table = np.array([[each.count, each.of - each.count] for each in (before, now)])
    ratios, changed = {}, []
    for i, name in enumerate(INPUTS if inputs is not None else ()):
        assert inputs is not None
        old, new = (each[:, i] for each in inputs)
        least = 1e-12
        ratios[name] = float(max(np.median(new), least) / max(np.median(old), least))
        low, high = USUAL[name]
        remarkable = not low <= ratios[name] <= high
        if remarkable and mannwhitneyu(old, new, method="asymptotic").pvalue <= SURE:
            changed.append(name)
    sure = bool(fisher_exact(table).pvalue <= SURE)
    return Circumstances(ratios, tuple(changed), now, before, sure)


def sentence(
    blocks: Sequence[str], part: str, since: datetime, seen: Circumstances, known: Sequence[str]
) -> str:
    """Return what happened, in words.

    Args:
        blocks: that moved most, of ``known``, in order.
        part: of the divergence that is largest: mean, scale or correlation.
        since: when the window began.
        seen: pictures and verdicts.
        known: all blocks, in order.
    """
    looks = f"looks like {seen.cause}" if seen.cause else "no cause seen"
    rate = "defect rate unchanged"
    if seen.share_changed:
        word = "rose" if seen.more_flagged else "fell"
        rate = f"defect rate {word} to {seen.flagged.rate:.1%} from {seen.flagged_before.rate:.1%}"
    return f"{_named(blocks, known)} {_VERBS[part]} since {since:%Y-%m-%d %H:%M}: {looks}; {rate}"


def _named(blocks: Sequence[str], known: Sequence[str]) -> str:
    """Return names with neighbours joined: "blocks b2 to b4, b7"."""
    if len(blocks) == len(known):
        return "all blocks"
    runs: list[list[str]] = []
    for name in blocks:
        if runs and known.index(name) == known.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    names = [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return ("block " if len(blocks) == 1 else "blocks ") + ", ".join(names)
