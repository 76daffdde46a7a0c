"""The rules: promtool's own tests of each, what every alert tells, and whom it is told."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
UNIT_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))
ROUTES = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def rules() -> list[dict[str, Any]]:
    files = [load(path) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def run(tool: str, *arguments: str | Path) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed: it comes with Debian's packages")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_rules_do_what_they_should(file: Path) -> None:
    """Contract: on series written by hand, each rule computes and fires as is expected."""
    run("promtool", "test", "rules", file)


def test_every_rule_is_tested() -> None:
    """Contract: each has a case in promtool's tests, an alert one of silence besides."""
    cases = [
        case
        for file in UNIT_TESTS
        for test in load(file)["tests"]
        for case in test.get("promql_expr_test", []) + test.get("alert_rule_test", [])
    ]
    for rule in rules():
        name = rule.get("record") or rule["alert"]
        mine = [case for case in cases if name in case.get("expr", case.get("alertname", ""))]
        outcomes = {bool(case.get("exp_samples", case.get("exp_alerts"))) for case in mine}
        assert outcomes == ({True, False} if "alert" in rule else {True}), name


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_says_what_and_where_to_look(name: str) -> None:
    """Contract: a severity that is routed, two sentences and two links."""
    rule = ALERTS[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    said = rule["annotations"]
    assert said.keys() == {"summary", "description", "runbook_url", "dashboard"}
    assert said["runbook_url"] == f"docs/monitoring.md#{name.lower()}"
    assert said["dashboard"].startswith("{{ $externalLabels.grafana }}/d/gatewatch-drift")
    assert all(text == text.strip() for text in said.values())


def test_dashboard_of_the_links_exists() -> None:
    """Contract: the uid that the alerts link to is the dashboard's."""
    dashboard = load(ROOT / "deploy" / "grafana" / "dashboards" / "gatewatch.json")
    assert dashboard["uid"] == "gatewatch-drift"


def test_alertmanager_accepts_its_configuration() -> None:
    run("amtool", "check-config", ROUTES)


@pytest.mark.parametrize(
    ("severity", "receiver"), [("page", "page"), ("ticket", "ticket"), ("info", "nobody")]
)
def test_severity_decides_who_is_told(severity: str, receiver: str) -> None:
    """Contract: the routes lead where the severity says."""
    labels = [f"severity={severity}", "alertname=GatewatchAny", "model=a"]
    told = run("amtool", "config", "routes", "test", f"--config.file={ROUTES}", *labels)
    assert told.split() == [receiver]


def test_messages_are_one_for_each_alert_and_model() -> None:
    """Contract: ten monitors of one model are one message, two models are two; the end is told."""
    config = load(ROUTES)
    assert config["route"]["group_by"] == ["alertname", "model"]
    hooks = {each["name"]: each.get("webhook_configs", []) for each in config["receivers"]}
    assert {name: len(of) for name, of in hooks.items()} == {"page": 1, "ticket": 1, "nobody": 0}
    assert all(hook["send_resolved"] for of in hooks.values() for hook in of)
