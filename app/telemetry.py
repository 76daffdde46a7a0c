"""What Prometheus reads: every series of the service, in a registry of its own."""

from collections.abc import Callable
from functools import cache

from fastapi import Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    exposition,
)

from app.drift_telemetry import DriftTelemetry
from app.notice_telemetry import NoticeTelemetry
from app.results import Timings
from app.storage.version_rows import Entry
from detector.verdict import Verdict

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series of times beside every counter would double the scrape

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
RATIO_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10)
P_VALUE_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
VERDICTS = ("normal", "uncertain", "anomalous", "uncalibrated")
REJECTIONS = ("decode", "too_large", "unsupported", "overload", "deadline", "memory", "fitted")


class Telemetry:
    """The series; ``model`` is a detector's name, so cardinality is bounded by the detectors."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "gatewatch_requests_total",
            "HTTP requests answered.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "gatewatch_request_duration_seconds",
            "Time from a request's first byte to its answer's last.",
            ["route"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.images_scored = Counter(
            "gatewatch_images_scored_total",
            "Images scored, by verdict.",
            ["model", "verdict"],
            registry=registry,
        )
        self.images_rejected = Counter(
            "gatewatch_images_rejected_total",
            "Images that were not scored or fitted, by reason.",
            ["reason"],
            registry=registry,
        )
        self.score_ratio = Histogram(
            "gatewatch_anomaly_score_ratio",
            "Score over threshold: above 1 an image is flagged.",
            ["model"],
            buckets=RATIO_BUCKETS,
            registry=registry,
        )
        self.p_value = Histogram(
            "gatewatch_conformal_p_value",
            "Conformal p-value of scored images: uniform when traffic is like the calibration.",
            ["model"],
            buckets=P_VALUE_BUCKETS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "gatewatch_stage_duration_seconds",
            "Time of an image in a stage: forward is its batch's, score the sum of its detectors.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self.batch_images = Histogram(
            "gatewatch_batch_images",
            "Images in one backbone pass.",
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.queue_images = Gauge(
            "gatewatch_queue_images", "Images that wait for the backbone.", registry=registry
        )
        self.admitted_bytes = Gauge(
            "gatewatch_admitted_bytes",
            "Bytes of the bodies of requests to score that are not answered yet.",
            registry=registry,
        )
        self.reference_images = Gauge(
            "gatewatch_reference_images",
            "Images a detector was fitted to.",
            ["model"],
            registry=registry,
        )
        self.calibration_images = Gauge(
            "gatewatch_calibration_images",
            "Calibration scores of a detector.",
            ["model"],
            registry=registry,
        )
        self.jobs = Counter(
            "gatewatch_jobs_total", "Jobs that ended.", ["kind", "state"], registry=registry
        )
        self.history_dropped = Counter(
            "gatewatch_history_dropped_images_total",
            "Scored images whose rows could not be kept for replay and review.",
            registry=registry,
        )
        self.drift_dropped = Counter(
            "gatewatch_drift_dropped_images_total",
            "Scored images that came too fast for the monitors of drift to take them in.",
            registry=registry,
        )
        self.shadow_disagreements = Counter(
            "gatewatch_shadow_disagreements_total",
            "Images flagged by one alone: the version in service, or the shadow beside it.",
            ["model", "side"],
            registry=registry,
        )
        self.stage_progress = Gauge(
            "gatewatch_stage_last_progress_timestamp_seconds",
            "When a stage last finished something, in Unix time.",
            ["stage"],
            registry=registry,
        )
        self.stage_calls = Gauge(
            "gatewatch_stage_calls", "Calls of a stage under way.", ["stage"], registry=registry
        )
        self.build_info = Gauge(
            "gatewatch_build_info",
            "Always 1; the labels say what runs.",
            ["version", "backbone", "device"],
            registry=registry,
        )
        self.drift = DriftTelemetry(registry)
        self.notices = NoticeTelemetry(registry)
        self._shown: set[str] = set()
        # Finding a series by its labels takes a lock and longer than counting. Kept at hand are
        # those that are never removed.
        self._requests = cache(self.requests.labels)
        self._request_seconds = cache(self.request_seconds.labels)
        self._stage_seconds = cache(self.stage_seconds.labels)
        for reason in REJECTIONS:
            self.images_rejected.labels(reason)

    def stage(
        self, name: str, progress_at: Callable[[], float], calls: Callable[[], float]
    ) -> None:
        """Show a stage, as it is when it is asked for."""
        self.stage_progress.labels(name).set_function(progress_at)
        self.stage_calls.labels(name).set_function(calls)

    def detector(self, entry: Entry) -> None:
        """Show the state of what is in service; its series exist from then on."""
        name, summary = entry.name, entry.version.summary
        if entry.version.version == entry.in_service:
            self.reference_images.labels(name).set(summary["fitted_images"])
            self.calibration_images.labels(name).set(summary["calibration_images"])
        for verdict in VERDICTS:
            self.images_scored.labels(name, verdict)
        self._shown.add(name)
        self.drift.watch(name)
        if entry.version.version == entry.in_service:
            spec = summary["spec"]
            self.drift.serves(
                name,
                backbone=spec["backbone"],
                layer=spec["descriptor"],
                metric=spec["scorer"],
                fingerprint=spec["backbone_fingerprint"],
            )

    @property
    def shown(self) -> frozenset[str]:
        """The detectors that have series."""
        return frozenset(self._shown)

    def scored(self, name: str, verdict: Verdict, image_id: str) -> None:
        """Count one scored image; as an exemplar its id leads from a panel to what is kept of it.

        Every bucket of score over threshold has an exemplar, of verdicts only the anomalous one.
        """
        exemplar = {"image_id": image_id}
        anomalous = verdict.word == "anomalous"
        self.images_scored.labels(name, verdict.word).inc(1, exemplar if anomalous else None)
        if verdict.threshold is not None and verdict.threshold > 0:
            self.score_ratio.labels(name).observe(verdict.score / verdict.threshold, exemplar)
        if verdict.p_value is not None:
            self.p_value.labels(name).observe(verdict.p_value)

    def took(self, timings: Timings) -> None:
        """Show where one image's time went, however many detectors have judged it."""
        stages = {
            "decode": timings.decode_s,
            "queue": timings.queue_s,
            "forward": timings.forward_s,
            "score": timings.judge_s,
        }
        for stage, seconds in (stages | {"total": sum(stages.values())}).items():
            self._stage_seconds(stage).observe(seconds)

    def answered(self, route: str, method: str, status: int, seconds: float | None = None) -> None:
        """Count a request, and how long it took unless it was refused at the door."""
        self._requests(route, method, status).inc()
        if seconds is not None:
            self._request_seconds(route).observe(seconds)

    def forget(self, name: str) -> None:
        """Remove the series of a deleted detector."""
        self._shown.discard(name)
        for series in (
            self.reference_images,
            self.calibration_images,
            self.score_ratio,
            self.p_value,
        ):
            series.remove_by_labels({"model": name})
        self.images_scored.remove_by_labels({"model": name})
        self.shadow_disagreements.remove_by_labels({"model": name})
        self.drift.forget(name)


def scrape(telemetry: Telemetry, accept: str) -> Response:
    """Return every series, as OpenMetrics or in Prometheus' text format by the Accept header."""
    encode, content_type = exposition.choose_encoder(accept)
    return Response(encode(telemetry.registry), headers={"content-type": content_type})
