"""The figures of docs/se-networks.md, computed by ``models.analysis`` as the text says.

    python -m benchmarks.families.figures OUT

Writes OUT/se-analysis.png: six panels, one for each result that a picture tells better.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

from models.analysis import graph_size, reduction_ratio, spectral
from models.analysis.gradient_flow import GatedBlock, gradient_norms
from models.analysis.optimal_gate import matched_gate, shrinkage_gate
from models.smoothing import smooth

Axes = Any  # matplotlib's are untyped


def gradient(axes: Axes, depth: int = 40) -> None:
    """The gradient's norm on its way back through blocks gated on the branch or the identity."""
    torch.manual_seed(0)
    x = torch.randn(4, 16, 8, 8)
    for placement, label in (("residual", "gate on the branch"), ("identity", "gate on the path")):
        blocks = [GatedBlock(16, placement, scale=0.1) for _ in range(depth)]  # type: ignore[arg-type]
        norms = np.array(gradient_norms(blocks, x, torch.randn_like(x)))
        axes.semilogy(range(depth + 1), norms / norms[-1], label=label)
    axes.set(title="Gradient through 40 blocks", xlabel="block", ylabel="norm, relative to the end")
    axes.legend()


def smoothing(axes: Axes) -> None:
    """One gate over the frames of a clip, smoothed by three penalties."""
    rng = np.random.default_rng(0)
    steady = np.where(np.arange(60) < 30, 0.35, 0.7)
    gates = torch.from_numpy((steady + rng.normal(0, 0.08, 60)).clip(0.01, 0.99))
    axes.plot(gates, ".", color="0.6", label="as computed, frame by frame")
    for penalty in (1.0, 10.0, 100.0):
        axes.plot(smooth(gates, penalty), label=f"lambda = {penalty:g}")
    axes.set(title="Gates over time, smoothed", xlabel="frame", ylabel="gate", ylim=(0, 1))
    axes.legend()


def graph_sizes(axes: Axes) -> None:
    """Gates of a sum and of an average squeeze over the size of a graph."""
    nodes = np.arange(1, 401)
    for slope in (0.005, 0.02, -0.02):
        gates = [
            float(graph_size.saturation(torch.tensor(slope), torch.tensor(0.0), int(n)).gate)
            for n in nodes
        ]
        axes.plot(nodes, gates, label=f"sum, slope {slope:+g} a node")
    axes.axhline(0.5, color="0.6", label="average: the size does not matter")
    axes.set(title="Squeeze of a graph, and its size", xlabel="nodes", ylabel="gate")
    axes.legend()


def optimal(axes: Axes) -> None:
    """The two optimal gates over a channel's noise."""
    sigma = torch.linspace(0.05, 3, 200)
    mu = torch.ones_like(sigma)
    axes.plot(sigma, shrinkage_gate(mu, sigma), label="least error: mu²/(mu² + sigma²)")
    matched = matched_gate(mu, sigma)
    axes.plot(sigma, matched / matched.max(), label="most signal to noise: mu/sigma², scaled to 1")
    axes.set(title="The optimal gate", xlabel="noise sigma, signal mu = 1", ylabel="gate")
    axes.legend()


def ratio(axes: Axes, channels: int = 256) -> None:
    """The loss model over the reduction ratio, and where it is least."""
    capacity = 1.0
    for price in (1e-3, 1e-2, 1e-1):
        best = reduction_ratio.optimal_ratio(channels, price=price, capacity=capacity)
        ratios = np.geomspace(max(best / 8, 0.5), best * 8, 100)
        losses = np.array(
            [
                reduction_ratio.loss(float(each), channels, price=price, capacity=capacity)
                for each in ratios
            ]
        )
        (line,) = axes.loglog(ratios, losses, label=f"price {price:g}: r* = {best:.1f}")
        least = reduction_ratio.loss(best, channels, price=price, capacity=capacity)
        axes.plot(best, least, "o", color=line.get_color())
    axes.set(title=f"Loss model, {channels} channels", xlabel="reduction ratio r", ylabel="loss")
    axes.legend()


def sounds(axes: Axes) -> None:
    """A tone and a click that have one squeeze over time and frequency, told by squeezes in one."""
    shape = (40, 100)
    wanted = 0.02
    tone_bins, click_frames = range(12, 13), range(50, 52)
    tone = spectral.tone(spectral.amplitude_for(wanted, 1, shape[1], shape), tone_bins, shape)
    click = spectral.click(spectral.amplitude_for(wanted, shape[0], 2, shape), click_frames, shape)
    for what, label in ((tone, "a tone of 100 frames"), (click, "a click of 2 frames")):
        mean = float(what.mean())
        axes.plot(spectral.over_time(what), label=f"{label}: mean {mean:.3f}")
    axes.set(title="Squeeze over time alone", xlabel="frequency bin", ylabel="squeeze")
    axes.legend()


def main() -> None:
    """Draw all panels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(2, 3, figsize=(14, 7.5))
    panels = (gradient, optimal, ratio, smoothing, graph_sizes, sounds)
    for panel, draw in zip(axes.flat, panels, strict=True):
        draw(panel)
        panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(out / "se-analysis.png", dpi=90)


if __name__ == "__main__":
    main()
