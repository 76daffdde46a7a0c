"""The metrics: every family of series in the registry that `/metrics` is made from."""

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from app.telemetry import Telemetry
from reference.markdown import code, table, text

INTRODUCTION = """# Metrics

What `GET /metrics` answers, in Prometheus' format or as OpenMetrics. `model` is the name of a
detector. A histogram has the series `_bucket`, `_count` and `_sum`. [Monitor
drift](../monitoring.md) has the rules, dashboard and runbook that stand on them.
"""


def page() -> str:
    """Return the page."""
    rows = [_row(metric) for metric in _metrics(Telemetry().registry)]
    return f"{INTRODUCTION}\n{table(['metric', 'kind', 'labels', 'meaning'], rows)}"


def _metrics(registry: CollectorRegistry) -> list[MetricWrapperBase]:
    # The registry has no public list of its metrics with their labels, which series that were
    # never counted do not show.
    metrics = [each for each in registry._collector_to_names if isinstance(each, MetricWrapperBase)]
    return sorted(metrics, key=lambda metric: metric._name)


def _row(metric: MetricWrapperBase) -> list[str]:
    ending = "_total" if metric._type == "counter" else ""
    labels = ", ".join(map(code, metric._labelnames)) or "-"
    return [code(metric._name + ending), str(metric._type), labels, text(metric._documentation)]
