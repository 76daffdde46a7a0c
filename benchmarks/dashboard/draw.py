"""A recording as pictures: the panels of the dashboard's first three rows, in their order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.dashboard.record import Recording, Series

Axes = Any  # matplotlib's are untyped
COLOURS = {  # told apart by the colour-blind too
    "bulk": "#0072b2",
    "rate": "#d55e00",
    "frozen": "#009e73",
    "input": "#cc79a7",
    "window": "#56b4e9",
    "normal": "#009e73",
    "uncertain": "#e69f00",
    "anomalous": "#d55e00",
}
STATES = ("warming up", "in control", "ALARM", "off")
CHANGED = "#e8e4d8"


def figures(recording: Recording) -> dict[str, Figure]:
    """Return a picture for each row, by name."""
    return {
        "drifting": _drifting(recording),
        "traffic": _traffic(recording),
        "changed": _changed(recording),
    }


def _drifting(recording: Recording) -> Figure:
    figure = Figure(figsize=(11, 7.2), dpi=80, layout="constrained")
    state, evidence, images = figure.subplots(3, 1, sharex=True, height_ratios=(1, 3, 1.5))
    for series in _query(recording, "State", 0):
        state.step(_minutes(recording, series), series.values, where="post", color="black")
    state.set(yticks=range(4), yticklabels=STATES, ylim=(-0.4, 3.4), title="State")
    for series in _query(recording, "Evidence for a change", 0):
        _line(evidence, recording, series, "monitor")
    for series in _query(recording, "Evidence for a change", 1):
        _line(evidence, recording, series, "monitor", linestyle="--", linewidth=1, label=None)
    evidence.set(title="Evidence for a change, and its threshold (dashed)", ylabel="log10")
    _stacked(images, recording, "Images per second by verdict", "verdict", "images/s")
    return _ready(figure, recording)


def _traffic(recording: Recording) -> Figure:
    figure = Figure(figsize=(11, 8.8), dpi=80, layout="constrained")
    p_values, ratios, share, score = figure.subplots(4, 1, sharex=True)
    _heat(p_values, recording, "Conformal p-values", "Blues", "p-value, upper edge")
    _heat(ratios, recording, "Score / threshold", "Oranges", "ratio, upper edge")
    title = "Anomalous share, and p-values below 0.05"
    for query, label in enumerate(("anomalous (5 min)", "p < 0.05 (1 h)")):
        for series in _query(recording, title, query):
            _line(share, recording, series, "", label=label)
    share.axhline(0.05, color="0.4", linestyle="--", linewidth=1)
    share.set(title=title, ylim=(0, 1), ylabel="share")
    title = "Score / threshold, median and 95th percentile"
    for query, label in enumerate(("median", "95th percentile")):
        for series in _query(recording, title, query):
            _line(score, recording, series, "", label=label)
    score.axhline(1, color="0.4", linestyle="--", linewidth=1)
    score.set(title=title, ylabel="ratio", ylim=(0, None))
    return _ready(figure, recording)


def _changed(recording: Recording) -> Figure:
    inputs = "Brightness, contrast and sharpness, medians"
    parts, p_value = "Divergence of the last window, by part", "p-value of the last window"
    tested = any(np.isfinite(each.values).any() for each in _query(recording, p_value, 0))
    figure = Figure(figsize=(11, 8 if tested else 3), dpi=80, layout="constrained")
    axes = figure.subplots(3 if tested else 1, 1, sharex=True, squeeze=False)[:, 0]
    for query, label in enumerate(("brightness", "contrast", "sharpness")):
        for series in _query(recording, inputs, query):
            _line(axes[-1], recording, series, "", label=label)
    axes[-1].axhline(1, color="0.4", linestyle="--", linewidth=1)
    axes[-1].set(title=inputs, ylabel="over the reference's")
    if tested:
        for series in (each for query in (0, 1) for each in _query(recording, parts, query)):
            label = series.labels.get("part", "total")
            _line(axes[0], recording, series, "", label=label, drawstyle="steps-post")
        axes[0].set(title=parts, ylabel="nats")
        for query, label, style in ((0, "p-value", "-"), (1, "level", "--")):
            for series in _query(recording, p_value, query):
                options = {"label": label, "linestyle": style, "drawstyle": "steps-post"}
                _line(axes[1], recording, series, "", **options)
        axes[1].set(title=f"{p_value}, and its level (dashed)", yscale="log")
    return _ready(figure, recording)


def _query(recording: Recording, title: str, number: int) -> Sequence[Series]:
    return recording.panels[title][number]


def _minutes(recording: Recording, series: Series) -> list[float]:
    start = recording.spans[0].start
    return [(at - start) / 60 for at in series.at]


def _line(axes: Axes, recording: Recording, series: Series, name: str, **options: Any) -> None:
    label = series.labels.get(name)
    chosen = {"label": label, "linewidth": 1.6, "color": COLOURS.get(label or "")} | options
    axes.plot(_minutes(recording, series), series.values, **chosen)


def _stacked(axes: Axes, recording: Recording, title: str, name: str, unit: str) -> None:
    found = [series for series in _query(recording, title, 0) if max(series.values) > 0]
    at = sorted({moment for series in found for moment in series.at})
    start = recording.spans[0].start
    rows = [np.interp(at, series.at, series.values, left=0) for series in found]
    labels = [series.labels[name] for series in found]
    colours = [COLOURS.get(label, "0.6") for label in labels]
    minutes = [(moment - start) / 60 for moment in at]
    axes.stackplot(minutes, rows, labels=labels, colors=colours, alpha=0.7)
    axes.set(title=title, ylabel=unit)


def _heat(axes: Axes, recording: Recording, title: str, colours: str, label: str) -> None:
    """Draw counts per bucket: Prometheus' buckets hold all below, so neighbours are subtracted."""
    found = sorted(_query(recording, title, 0), key=lambda each: float(each.labels["le"]))
    at = sorted({moment for series in found for moment in series.at})
    below = np.array([np.interp(at, series.at, series.values) for series in found])
    counts = np.diff(below, axis=0, prepend=0)
    share = counts / np.maximum(counts.sum(axis=0), 1e-9)
    start = recording.spans[0].start
    step = min(b - a for a, b in pairwise(at))
    edges = [(moment - start - step) / 60 for moment in [*at, at[-1] + step]]
    axes.pcolormesh(edges, np.arange(len(found) + 1), share, cmap=colours, rasterized=True)
    every = range(0, len(found), 2)
    axes.set(title=title, ylabel=label, yticks=[i + 0.5 for i in every])
    axes.set_yticklabels([found[i].labels["le"].removesuffix(".0") for i in every], fontsize=7)


def _ready(figure: Figure, recording: Recording) -> Figure:
    """Mark the phases in every panel, name them above the first, and put the legends beside."""
    start = recording.spans[0].start
    for number, axes in enumerate(figure.axes):
        axes.set_title(axes.get_title(), loc="left", fontsize=10)
        axes.set_title("")
        for span in recording.spans:
            left, right = (span.start - start) / 60, (span.end - start) / 60
            if axes.collections and axes.get_ylabel().endswith("edge"):
                axes.axvline(left, color="0.3", linewidth=0.6)
            elif span.changed:
                axes.axvspan(left, right, color=CHANGED, zorder=-1)
            if number == 0 and span.words != "back to normal":
                axes.annotate(
                    span.words,
                    ((left + right) / 2, 1.02),
                    xycoords=("data", "axes fraction"),
                    ha="center",
                    fontsize=8,
                )
        axes.set_xlim(0, (recording.spans[-1].end - start) / 60)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    figure.axes[0].set_title(figure.axes[0].get_title(loc="left"), loc="left", fontsize=10, pad=16)
    figure.axes[-1].set_xlabel("minutes")
    return figure
