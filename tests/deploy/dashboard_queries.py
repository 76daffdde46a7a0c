"""What dashboard and rules ask for: the queries, their metrics, and whether they are answered."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from alerting_processes import DEPLOY, query

DASHBOARD = DEPLOY / "grafana" / "dashboards" / "gatewatch.json"
HURRIED = {
    "$__rate_interval": "10s",
    "$__range": "1m",
    "$model": ".*",
    # Steps of ten minutes over a month would see nothing of a test of seconds.
    "[30d:10m]": "[1m:1s]",
}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
UNSEEN: dict[str, str] = {}
"""Metrics that neither a panel nor a rule shows, and why not."""


def queries() -> list[tuple[str, str]]:
    """Title and expression of everything that is asked, panels and annotations."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]
    asked += [(each["name"], each["target"]["expr"]) for each in dashboard["annotations"]["list"]]
    return asked


def hurried(expr: str) -> str:
    for variable, value in HURRIED.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr, expr
    return expr


def empty(server: str) -> list[tuple[str, str]]:
    """Title and expression of what a Prometheus has no number for, or only NaN."""
    found = []
    for title, expr in queries():
        values = [float(sample["value"][1]) for sample in query(server, hurried(expr))]
        if not any(value == value for value in values):
            found.append((title, expr))
    return found


def targets(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield from panel.get("targets", [])


def rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in (DEPLOY / "prometheus").glob("rules/*")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def exported(text: str) -> dict[str, set[str]]:
    """Each metric of an exposition in text, with the names of its series."""
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE)
    return {name: {name + end for end in SUFFIXES.get(kind, ("",))} for name, kind in kinds}


def asked(dashboard: dict[str, Any]) -> set[str]:
    """What panels, annotations, variables and rules ask for: metrics and recorded series."""
    queries = [target["expr"] for target in targets(dashboard)]
    queries += [each["target"]["expr"] for each in dashboard["annotations"]["list"]]
    queries += [str(item["query"]) for item in dashboard["templating"]["list"]]
    queries += [rule["expr"] for rule in rules()]
    return {name for query in queries for name in re.findall(r"[\w:]*\bgatewatch_[\w:]+", query)}
