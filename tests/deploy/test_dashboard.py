"""The Grafana dashboard is what its generator writes, provisions, and shows what there is."""

import importlib
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from dashboard_queries import DASHBOARD as COMMITTED
from dashboard_queries import UNSEEN, asked, exported, rules, targets
from filled_metrics import Exporter
from prometheus_client import generate_latest

from app.drift_telemetry import STATES

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"


@pytest.fixture
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return loaded


def of_the_service() -> dict[str, set[str]]:
    """Each metric of the service's own registry, with the names of its series."""
    return exported(generate_latest(Exporter().service.registry).decode())


def generated(monkeypatch: pytest.MonkeyPatch, folder: Path, module: str) -> Any:
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module(module).render()


def test_committed_dashboard_is_what_the_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    text = generated(monkeypatch, GRAFANA, "generate")
    assert text == COMMITTED.read_text(encoding="utf-8"), "run python deploy/grafana/generate.py"


def test_everything_asked_for_is_exported_or_recorded(dashboard: dict[str, Any]) -> None:
    """Contract: no panel and no rule asks for what nobody gives."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    names = asked(dashboard)
    assert names, "nothing is asked for at all"
    assert names - recorded - set().union(*of_the_service().values()) == set()


def test_everything_exported_is_shown(dashboard: dict[str, Any]) -> None:
    """Contract: a metric is on a panel, in a rule, or on the list of those that are not."""
    names = asked(dashboard)
    unseen = {metric for metric, series in of_the_service().items() if not names & series}
    assert unseen == UNSEEN.keys()


def test_dashboard_provisions_without_an_import_dialogue(dashboard: dict[str, Any]) -> None:
    assert dashboard["id"] is None
    assert dashboard["uid"] == "gatewatch-drift"
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
    assert ranges == {"[$__rate_interval]", "[$__range]", "[10m]", "[30d:10m]"}


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


def test_the_four_questions_are_the_rows(dashboard: dict[str, Any]) -> None:
    """Contract: what somebody asks who is called, in that order."""
    assert [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"] == [
        "Is it drifting?",
        "What does the traffic look like?",
        "What changed?",
        "Is the service healthy?",
    ]


def test_each_state_has_its_word(dashboard: dict[str, Any]) -> None:
    """Contract: the panel names as many states as the service can be in, an alarm in red."""
    (panel,) = (panel for panel in dashboard["panels"] if panel["title"] == "State")
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert list(mapping["options"]) == [str(number) for number in range(len(STATES))]
    assert mapping["options"][str(STATES.index("alarm"))]["color"] == "red"


def test_each_query_of_a_panel_has_its_own_letter(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        letters = [item["refId"] for item in panel.get("targets", [])]
        assert len(set(letters)) == len(letters)
        assert all(letters)
