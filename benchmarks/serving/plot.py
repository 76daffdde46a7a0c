"""The figures as pictures: latency against load, and throughput beside its limits."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.serving.claims import FLOOD, capacity, closed
from benchmarks.serving.figures import Figures
from benchmarks.serving.peers import PEERS
from benchmarks.serving.rounds import SHARES

Found = Mapping[str, Figures]
OURS, OTHERS, REFUSED = "#0072b2", "#999999", "#d55e00"  # told apart by the colour-blind too


def draw(found: Found, path: Path) -> None:
    """Draw both beside each other; what was not measured stays empty."""
    figure = Figure(figsize=(11, 4.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    if FLOOD in found:
        _latencies(left, found)
    _throughputs(right, found)
    figure.savefig(path)


def _latencies(axes: Axes, found: Found) -> None:
    loads = [found[f"open {share:.0%}"] for share in SHARES]
    offered = [100 * share for share in SHARES]
    for key, style in (("p50_ms", "-"), ("p99_ms", "--")):
        values = [load[key] or float("nan") for load in loads]
        axes.plot(offered, values, style, marker="o", color=OURS, label=f"served, {key[:3]}")
    refusals = [load["refusal_p50_ms"] or float("nan") for load in loads]
    axes.plot(offered, refusals, marker="x", color=REFUSED, label="refused, p50")
    axes.set(xlabel="load, % of capacity", ylabel="latency, ms", xscale="log", yscale="log")
    axes.set_xticks(offered, [f"{value:.0f}" for value in offered])
    axes.minorticks_off()
    axes.legend()


def _throughputs(axes: Axes, found: Found) -> None:
    bars: dict[str, float | None] = {}
    if stages := found.get("stages"):
        bars["cores / sum of stages"] = stages["limit_per_s"]
        bars["stages, all cores"] = stages["together_per_s"]
    ours = {"gatewatch": "closed"}
    for label, server in (ours | {peer.title: peer.name for peer in PEERS}).items():
        if all(name in found for name in closed(server)):
            bars[label] = capacity(found, server)
    if FLOOD in found:
        bars["gatewatch at 1000 %"] = found[FLOOD]["served_per_s"]
    colours = [OURS if name.startswith("gatewatch") else OTHERS for name in bars]
    drawn = axes.barh(list(bars), [value or 0.0 for value in bars.values()], color=colours)
    axes.bar_label(drawn, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="images a second")
    axes.margins(x=0.12)
