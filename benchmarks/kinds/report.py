"""The outcome of all sets as a table, as JSON, and as a picture."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib

from benchmarks.kinds.contest import Outcome, Ranking

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the backend was chosen


def write(outcomes: Sequence[Outcome], folder: Path) -> str:
    """Write table, values and picture; return the table."""
    text = table(outcomes)
    (folder / "kinds.md").write_text(text)
    (folder / "kinds.json").write_text(json.dumps([asdict(each) for each in outcomes], indent=1))
    picture(outcomes, folder / "kinds.png")
    return text


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a row a set and, below, the means of each kind."""
    lines = [
        "| kind | set (normal) | fitted | test, normal + anomalous | gatewatch | best baseline | "
        "difference | fit, s | score, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in outcomes:
        gain, low, high = each.difference
        lines.append(
            f"| {each.kind} | {each.set} | {each.train} | {each.normal} + {each.anomalous} "
            f"| {_said(each.ours)} | {_said(each.best)} {each.best.name} "
            f"| {gain:+.3f} [{low:+.3f}, {high:+.3f}] | {each.fit_s:.0f} | {each.score_ms:.0f} |"
        )
    lines += ["", "| kind | sets | gatewatch, mean | baseline of the highest mean | ahead on |"]
    lines += ["|---|---|---|---|---|"]
    for kind, some in _by_kind(outcomes).items():
        ours = sum(each.ours.auroc for each in some) / len(some)
        means = _means(some)
        best = max(means, key=lambda name: means[name])
        won = sum(each.ours.auroc > each.best.auroc for each in some)
        lines.append(
            f"| {kind} | {len(some)} | {ours:.3f} | {means[best]:.3f} {best} "
            f"| {won} of {len(some)} |"
        )
    return "\n".join(lines) + "\n"


def picture(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw every set's AUROCs with their intervals."""
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.34 * len(outcomes)))
    for row, each in enumerate(reversed(outcomes)):
        for ranking, colour, shift in ((each.best, "0.55", -0.14), (each.ours, "tab:blue", 0.14)):
            axes.plot([ranking.low, ranking.high], [row + shift] * 2, color=colour, lw=2)
            axes.plot(ranking.auroc, row + shift, "o", color=colour, ms=5)
    axes.set_yticks(range(len(outcomes)))
    axes.set_yticklabels([f"{each.kind}: {each.set}" for each in reversed(outcomes)])
    axes.axvline(0.5, color="0.8", lw=1, zorder=0)
    axes.set_xlim(min(0.4, *(each.best.low for each in outcomes)), 1.005)
    axes.set_xlabel("AUROC, 95 % interval (blue: gatewatch, grey: best plain baseline)")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _by_kind(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        found[each.kind].append(each)
    return found


def _means(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the mean AUROC of every baseline that all of these sets have."""
    names = {ranking.name for ranking in outcomes[0].baselines}
    found = {}
    for name in sorted(names):
        values = [r.auroc for each in outcomes for r in each.baselines if r.name == name]
        found[name] = sum(values) / len(values)
    return found


def _said(ranking: Ranking) -> str:
    return f"{ranking.auroc:.3f} [{ranking.low:.3f}, {ranking.high:.3f}]"
