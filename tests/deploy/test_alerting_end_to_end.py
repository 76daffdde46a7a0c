"""From a metric to a message: an exporter, real Prometheus and Alertmanager, a webhook."""

from pathlib import Path

import pytest
from alerting_processes import alertmanager, ask, prometheus, query, until
from filled_metrics import MODEL, Exporter
from webhook_receiver import webhook


@pytest.mark.slow
def test_drift_reaches_the_webhook_and_is_taken_back(tmp_path: Path) -> None:
    """Contract: silent in control; a page with its labels on drift; resolved when it is over."""
    exporter = Exporter()
    with (
        webhook() as (receiver, arrived),
        exporter.served() as port,
        alertmanager(tmp_path, receiver) as manager,
        prometheus(tmp_path, f"127.0.0.1:{port}", manager) as server,
    ):
        seen = f'count_over_time(gatewatch_drift_evidence_log10{{model="{MODEL}"}}[1m]) >= 5'
        for _ in range(3):
            exporter.scores()
        until(lambda: query(server, seen), "five scrapes")
        assert ask(f"{server}/api/v1/alerts")["data"]["alerts"] == []
        assert arrived == []

        exporter.says("alarm", evidence=4.5)
        until(lambda: arrived, "the page")
        path, message = arrived[0]
        assert (path, message["status"], message["receiver"]) == ("/page", "firing", "page")
        assert message["groupLabels"] == {"alertname": "GatewatchDriftDetected", "model": MODEL}
        (alert,) = message["alerts"]
        assert alert["labels"] == {
            "alertname": "GatewatchDriftDetected",
            "model": MODEL,
            "monitor": "bulk",
            "severity": "page",
            "grafana": "http://localhost:3000",
        }
        link = f"http://localhost:3000/d/gatewatch-drift?var-model={MODEL}"
        assert alert["annotations"]["dashboard"] == link

        exporter.says("in_control", evidence=1.0)
        until(lambda: arrived[-1][1]["status"] == "resolved", "the all-clear")
        assert {each["alerts"][0]["labels"]["model"] for _, each in arrived} == {MODEL}
        assert ask(f"{server}/api/v1/alerts")["data"]["alerts"] == []


def test_nothing_else_is_said_of_a_service_that_is_down(tmp_path: Path) -> None:
    """Contract: GatewatchDown inhibits the other alerts of gatewatch and nobody else's."""
    with webhook() as (receiver, _), alertmanager(tmp_path, receiver) as manager:

        def silenced() -> dict[str, bool]:
            alerts = ask(f"http://{manager}/api/v2/alerts")
            inhibited = {a["labels"]["alertname"]: bool(a["status"]["inhibitedBy"]) for a in alerts}
            return inhibited if len(inhibited) == 3 else {}

        names = ["GatewatchDown", "GatewatchDriftDetected", "SomethingElse"]
        alerts = [{"labels": {"alertname": name, "severity": "page"}} for name in names]
        ask(f"http://{manager}/api/v2/alerts", alerts)
        expected = dict(zip(names, [False, True, False], strict=True))
        until(lambda: silenced() == expected, f"{expected}")
