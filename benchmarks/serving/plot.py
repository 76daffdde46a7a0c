"""The figures as pictures: latency against load, and throughput beside its limits."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.serving.report import Medians, capacity
from benchmarks.serving.rounds import SHARES

OURS, OTHERS, REFUSED = "#0072b2", "#999999", "#d55e00"  # told apart by the colour-blind too


def draw(found: Medians, path: Path) -> None:
    """Draw both beside each other."""
    figure = Figure(figsize=(11, 4.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    loads = [found[f"open {share:.0%}"] for share in SHARES]
    offered = [100 * share for share in SHARES]
    for key, style in (("p50_ms", "-"), ("p99_ms", "--")):
        values = [load[key] or float("nan") for load in loads]
        left.plot(offered, values, style, marker="o", color=OURS, label=f"served, {key[:3]}")
    refusals = [load["refusal_p50_ms"] or float("nan") for load in loads]
    left.plot(offered, refusals, marker="x", color=REFUSED, label="refused, p50")
    left.set(xlabel="load, % of capacity", ylabel="latency, ms", xscale="log", yscale="log")
    left.set_xticks(offered, [f"{value:.0f}" for value in offered])
    left.minorticks_off()
    left.legend()
    stages = found["stages"]
    bars = {
        "cores / sum of stages": stages["limit_per_s"],
        "stages, all cores": stages["together_per_s"],
        "gatewatch": capacity(found),
        "gatewatch at 1000 %": loads[-1]["served_per_s"],
        "plain FastAPI, torch": capacity(found, "plain"),
    }
    colours = [OURS if name.startswith("gatewatch") else OTHERS for name in bars]
    drawn = right.barh(list(bars), [value or 0.0 for value in bars.values()], color=colours)
    right.bar_label(drawn, fmt="%.0f", padding=3)
    right.invert_yaxis()
    right.set(xlabel="images a second")
    right.margins(x=0.12)
    figure.savefig(path)
