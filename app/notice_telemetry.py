"""What Prometheus reads of notices: what became of attempts, and how many wait, for each sink."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

Outcome = Literal["delivered", "retried", "given_up"]


class NoticeTelemetry:
    """The series; a sink's exist from ``watch`` on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "gatewatch_notices_total",
            "Attempts to deliver a notice, by what became of them.",
            ["sink", "result"],
            registry=registry,
        )
        self._waiting = Gauge(
            "gatewatch_notices_waiting",
            "Notices that a sink has not got yet, of all processes on one database.",
            ["sink"],
            registry=registry,
        )

    def watch(self, sink: str) -> None:
        """Let a sink's series exist, at 0."""
        for result in get_args(Outcome):
            self._attempts.labels(sink, result)
        self._waiting.labels(sink).set(0)

    def attempted(self, sink: str, result: Outcome) -> None:
        """Count an attempt."""
        self._attempts.labels(sink, result).inc()

    def waits(self, sink: str, notices: int) -> None:
        """Set how many wait."""
        self._waiting.labels(sink).set(notices)
