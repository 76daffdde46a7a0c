"""A small exporter in place of the service: its own series, each with something in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from app.drift_telemetry import State
from app.telemetry import REJECTIONS, VERDICTS, Telemetry

MODEL = "bricks"
IMAGE = "0123456789abcdef0123456789abcdef"
MONITORS = ("bulk", "rate", "frozen", "input")
THRESHOLD = 4.0


class Exporter:
    """What the service would say of one detector, moved on by hand."""

    def __init__(self) -> None:
        self.service = Telemetry()
        self.drift = self.service.drift
        self.drift.watch(MODEL)
        self.drift.serves(
            MODEL,
            backbone="se-lite0",
            layer="gap",
            metric="fusion",
            fingerprint="f0",
        )
        self.drift.promised(MODEL, level=0.001, target_images=64, lag_images=2)
        self.drift.kept(MODEL, fitted_at=time.time(), queue_images=3, store_bytes=4096)
        self.says("in_control", evidence=1.0)
        service = self.service
        service.queue_images.set(2)
        service.admitted_bytes.set(1000)
        service.reference_images.labels(MODEL).set(500)
        service.calibration_images.labels(MODEL).set(400)
        service.build_info.labels("0", "se-lite0", "cpu").set(1)
        service.stage("forward", time.time, lambda: 1.0)
        service.notices.watch("webhook")

    def says(self, state: State, evidence: float) -> None:
        """Set the state and every monitor's evidence, log10."""
        self.drift.standing(MODEL, state)
        self.drift.filled(MODEL, 12)
        for monitor in MONITORS:
            shown = evidence if monitor == "bulk" else 0.5
            self.drift.monitored(MODEL, monitor, shown, THRESHOLD)

    def scores(self) -> None:
        """Count an image of each verdict, as the service does."""
        service = self.service
        for verdict in VERDICTS:
            service.images_scored.labels(MODEL, verdict).inc()
        for number in range(1, 40):
            service.score_ratio.labels(MODEL).observe(number / 20, {"image_id": IMAGE})
            service.p_value.labels(MODEL).observe(number / 40)
        for stage in ("decode", "queue", "forward", "score", "total"):
            service.stage_seconds.labels(stage).observe(0.02)
        service.batch_images.observe(4)
        self.drift.looked(MODEL, {"brightness": 1.05, "contrast": 0.9, "sharpness": 1.0})

    def everything_else(self) -> None:
        """Count one of everything that an ordinary image does not move."""
        service = self.service
        service.requests.labels("/v1/score", "POST", "200").inc()
        service.request_seconds.labels("/v1/score").observe(0.1)
        for reason in REJECTIONS:
            service.images_rejected.labels(reason).inc()
        for side in ("service", "shadow"):
            service.shadow_disagreements.labels(MODEL, side).inc()
        service.jobs.labels("fit", "succeeded").inc()
        service.notices.attempted("webhook", "retried")
        service.history_dropped.inc()
        service.drift_dropped.inc()
        parts = {"mean": 0.2, "scale": 0.1, "corr": -0.01, "total": 0.29}
        self.drift.tested(MODEL, 0.3, parts, at=time.time())
        self.drift.untested(MODEL, "skipped")
        self.drift.alarmed(MODEL, "window")
        self.drift.reviewed(MODEL, "confirmed")

    @contextmanager
    def served(self) -> Iterator[int]:
        """Serve /metrics on a free loopback port; yields the port."""
        server, thread = start_http_server(0, addr="127.0.0.1", registry=self.service.registry)
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
