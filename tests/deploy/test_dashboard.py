"""The Grafana dashboard is what its generator writes, provisions, and shows metrics that exist."""

import importlib
import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from app.telemetry import Telemetry

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
COMMITTED = GRAFANA / "dashboards" / "gatewatch.json"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


@pytest.fixture
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return loaded


def targets(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield from panel.get("targets", [])


def exported_series() -> set[str]:
    """The names of the series that the service's own registry can export."""
    text = generate_latest(Telemetry().registry).decode()
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE)
    return {name + suffix for name, kind in kinds for suffix in SUFFIXES.get(kind, ("",))}


def test_committed_dashboard_is_what_the_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(GRAFANA)
    generator = importlib.import_module("generate")
    assert generator.render() == COMMITTED.read_text(encoding="utf-8"), (
        "run python deploy/grafana/generate.py"
    )


def test_every_metric_on_the_dashboard_is_exported(dashboard: dict[str, Any]) -> None:
    queries = [target["expr"] for target in targets(dashboard)]
    queries += [str(item["query"]) for item in dashboard["templating"]["list"]]
    named = {name for query in queries for name in re.findall(r"\bgatewatch_\w+", query)}
    assert named, "the dashboard names no metric at all"
    assert named <= exported_series()


def test_dashboard_provisions_without_an_import_dialogue(dashboard: dict[str, Any]) -> None:
    assert dashboard["id"] is None
    assert dashboard["uid"] == "gatewatch"
    text = COMMITTED.read_text(encoding="utf-8")
    assert "__inputs" not in text
    assert "${DS_" not in text


def test_every_query_uses_the_data_source_variable(dashboard: dict[str, Any]) -> None:
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert names == ["datasource", "model"]
    for target in targets(dashboard):
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_ranges_follow_the_scrape_interval(dashboard: dict[str, Any]) -> None:
    ranges = {span for item in targets(dashboard) for span in re.findall(r"\[.*?\]", item["expr"])}
    assert ranges == {"[$__rate_interval]"}


def test_heatmaps_are_given_counts_per_bucket(dashboard: dict[str, Any]) -> None:
    heatmaps = [panel for panel in dashboard["panels"] if panel["type"] == "heatmap"]
    assert heatmaps
    for panel in heatmaps:
        (query,) = panel["targets"]
        assert query["format"] == "heatmap"
        assert query["legendFormat"] == "{{le}}"
        assert query["expr"].startswith("sum by (le) (increase(")
        assert panel["options"]["calculate"] is False


def test_panels_are_distinct_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_each_query_of_a_panel_has_its_own_letter(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        letters = [item["refId"] for item in panel.get("targets", [])]
        assert len(set(letters)) == len(letters)
        assert all(letters)
