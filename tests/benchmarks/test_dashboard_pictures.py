"""The pictures of the dashboard show what was recorded, of panels that there are."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dashboard import draw
from benchmarks.dashboard.record import DASHBOARD, Recording, Series, Span

AT = [0.0, 5.0, 10.0]
LABELS = {"model": "caps", "monitor": "bulk", "verdict": "normal", "part": "total"}


@pytest.fixture
def recording() -> Recording:
    """Every query of the dashboard, with a line of its own; histograms with three buckets."""
    panels: dict[str, list[list[Series]]] = {}
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        queries = [[Series(LABELS, AT, [1.0, 2.0, 3.0])] for _ in panel.get("targets", [])]
        if panel["type"] == "heatmap":
            buckets = {"0.1": 1.0, "0.5": 3.0, "+Inf": 4.0}
            queries = [[Series({"le": le}, AT, [n] * 3) for le, n in buckets.items()]]
        panels[panel["title"]] = queries
    spans = [Span("normal", False, 0, 5), Span("lighting", True, 5, 12)]
    return Recording(spans, panels)


def test_a_recording_is_kept(recording: Recording, tmp_path: Path) -> None:
    """Law: what is loaded is what was saved."""
    recording.save(tmp_path / "recording.json")
    assert Recording.load(tmp_path / "recording.json") == recording


def test_every_picture_is_drawn_of_the_panels_there_are(
    recording: Recording, tmp_path: Path
) -> None:
    """Contract: the titles are those of the dashboard; the lines are those recorded."""
    figures = draw.figures(recording)
    assert list(figures) == ["drifting", "traffic", "changed"]
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size < 150_000
    evidence = figures["drifting"].axes[1].get_lines()[0]
    assert list(evidence.get_ydata()) == [1, 2, 3]
    assert np.allclose(evidence.get_xdata(), [0, 5 / 60, 10 / 60])


def test_a_heatmap_has_the_share_of_each_bucket(recording: Recording) -> None:
    """Law: Prometheus counts all below an edge, the picture what lies between two."""
    (mesh,) = draw.figures(recording)["traffic"].axes[0].collections
    assert np.allclose(
        np.asarray(mesh.get_array()).reshape(3, 3), [[0.25] * 3, [0.5] * 3, [0.25] * 3]
    )


def test_windows_that_were_not_tested_have_no_panel(recording: Recording) -> None:
    nothing = [[Series(LABELS, AT, [float("nan")] * 3)] for _ in range(2)]
    recording.panels["p-value of the last window"] = nothing
    assert len(draw.figures(recording)["changed"].axes) == 1
