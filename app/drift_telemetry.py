"""What Prometheus reads of drift, inputs and reviews: the series of each detector that is watched.

``model`` is a detector's name; no label holds an image, a file or a channel. A detector has 77
series here and at most 44 in ``app.telemetry``, 121 together; at most ``MOST_MODELS`` are shown.
What is not known yet is NaN, never 0: a threshold of 0 would be an alarm.
"""

import math
from collections.abc import Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

Monitor = Literal["bulk", "rate", "frozen", "input"]
Part = Literal["mean", "scale", "corr", "total"]
Input = Literal["brightness", "contrast", "sharpness"]
Alarm = Literal["bulk", "rate", "frozen", "input", "window"]
Outcome = Literal["tested", "skipped", "error"]
Review = Literal["confirmed", "false_alarm", "passed", "missed"]
State = Literal["warming_up", "in_control", "alarm", "disabled"]

STATES: tuple[State, ...] = get_args(State)
"""What the number of ``gatewatch_drift_state`` means, from 0."""
INPUT_BUCKETS = (0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 4)
MOST_MODELS = 100
"""Detectors that have series here; those that are watched later have none."""
HEADROOM = 2.0
"""Evidence is shown to this far above its threshold: beyond, it would only flatten the panel."""


class DriftTelemetry:
    """The series of drift; a detector's exist from ``watch`` to ``forget``.

    What is said of a detector that is not watched is left out, so that a late word about a deleted
    one brings nothing back.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._watched: set[str] = set()
        self._serving: dict[str, tuple[str, ...]] = {}
        self._series: list[MetricWrapperBase] = []

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            made = Gauge(f"gatewatch_{name}", about, ["model", *labels], registry=registry)
            self._series.append(made)
            return made

        def counter(name: str, about: str, label: str) -> Counter:
            made = Counter(f"gatewatch_{name}", about, ["model", label], registry=registry)
            self._series.append(made)
            return made

        def ratio(name: Input) -> Histogram:
            made = Histogram(
                f"gatewatch_input_{name}_ratio",
                f"The {name} of an image over the reference's median.",
                ["model"],
                buckets=INPUT_BUCKETS,
                registry=registry,
            )
            self._series.append(made)
            return made

        self.inputs = {name: ratio(name) for name in get_args(Input)}
        self.state = gauge("drift_state", "0 warming up, 1 in control, 2 alarm, 3 disabled.")
        self.evidence = gauge(
            "drift_evidence_log10", "Evidence that the traffic has changed, log10.", "monitor"
        )
        self.threshold = gauge(
            "drift_evidence_threshold_log10", "Evidence that raises an alarm, log10.", "monitor"
        )
        self.alarms = counter("drift_alarms_total", "Alarms raised.", "monitor")
        self.window_p_value = gauge("drift_window_p_value", "p-value of the last window tested.")
        self.window_kl = gauge(
            "drift_window_kl_nats", "Divergence of the last window, chance removed.", "part"
        )
        self.window_level = gauge("drift_window_level", "A window's p-value that is an alarm.")
        self.windows = counter("drift_windows_total", "Windows that were filled.", "result")
        self.window_images = gauge("drift_window_images", "Images in the window being filled.")
        self.window_target = gauge("drift_window_target_images", "Images that fill a window.")
        self.last_window = gauge(
            "drift_last_window_timestamp_seconds", "When a window was last tested, Unix time."
        )
        self.fitted_at = gauge(
            "reference_fitted_timestamp_seconds", "When the reference was fitted, Unix time."
        )
        self.lag = gauge(
            "calibration_lag_images", "Every how many images one is watched: 1 is each."
        )
        self.reviews = counter("reviews_total", "What people said of images.", "label")
        self.review_queue = gauge(
            "review_queue_images", "Images flagged, or nearly, that nobody has reviewed yet."
        )
        self.store_bytes = gauge("store_bytes", "Bytes kept of scored images.")
        self.model_info = gauge(
            "model_info",
            "Always 1; what serves: layer is its descriptor, metric its scorer.",
            "backbone",
            "layer",
            "metric",
            "fingerprint",
        )

    def watch(self, model: str) -> None:
        """Let a detector's series exist: counters at 0, everything else not known yet."""
        if model in self._watched or len(self._watched) >= MOST_MODELS:
            return
        self._watched.add(model)
        for histogram in self.inputs.values():
            histogram.labels(model)
        for plain in (
            self.window_p_value,
            self.window_level,
            self.window_images,
            self.window_target,
            self.last_window,
            self.fitted_at,
            self.lag,
            self.review_queue,
            self.store_bytes,
        ):
            plain.labels(model).set(math.nan)
        self.state.labels(model).set(STATES.index("disabled"))
        for monitor in get_args(Monitor):
            self.evidence.labels(model, monitor).set(math.nan)
            self.threshold.labels(model, monitor).set(math.nan)
        for part in get_args(Part):
            self.window_kl.labels(model, part).set(math.nan)
        for series, words in (
            (self.alarms, Alarm),
            (self.windows, Outcome),
            (self.reviews, Review),
        ):
            for word in get_args(words):
                series.labels(model, word)

    def forget(self, model: str) -> None:
        """Remove the series of a deleted detector."""
        self._watched.discard(model)
        self._serving.pop(model, None)
        for series in self._series:
            series.remove_by_labels({"model": model})

    def serves(
        self, model: str, *, backbone: str, layer: str, metric: str, fingerprint: str
    ) -> None:
        """Say what serves; it takes the place of the last."""
        labels = (backbone, layer, metric, fingerprint)
        if model in self._watched and self._serving.get(model) != labels:
            self.model_info.remove_by_labels({"model": model})
            self.model_info.labels(model, *labels).set(1)
            self._serving[model] = labels

    def promised(self, model: str, *, level: float, target_images: int, lag_images: int) -> None:
        """Set what the baseline decides: a window's level and size, and the thinning."""
        if model in self._watched:
            self.window_level.labels(model).set(level)
            self.window_target.labels(model).set(target_images)
            self.lag.labels(model).set(lag_images)

    def standing(self, model: str, state: State) -> None:
        """Set the state."""
        if model in self._watched:
            self.state.labels(model).set(STATES.index(state))

    def filled(self, model: str, window_images: int) -> None:
        """Set how far the window is filled."""
        if model in self._watched:
            self.window_images.labels(model).set(window_images)

    def monitored(self, model: str, monitor: Monitor, evidence: float, threshold: float) -> None:
        """Set a monitor's evidence and threshold, both log10."""
        if model in self._watched:
            shown = min(evidence, threshold + HEADROOM)
            self.evidence.labels(model, monitor).set(shown)
            self.threshold.labels(model, monitor).set(threshold)

    def alarmed(self, model: str, monitor: Alarm) -> None:
        """Count an alarm."""
        if model in self._watched:
            self.alarms.labels(model, monitor).inc()

    def tested(self, model: str, p_value: float, kl_nats: Mapping[Part, float], at: float) -> None:
        """Count a tested window and show what it said; `at` in Unix time."""
        if model in self._watched:
            self.windows.labels(model, "tested").inc()
            self.windowed(model, p_value, kl_nats, at)

    def windowed(
        self, model: str, p_value: float, kl_nats: Mapping[Part, float], at: float
    ) -> None:
        """Show what was said of the last window, by any process."""
        if model in self._watched:
            self.window_p_value.labels(model).set(p_value)
            self.last_window.labels(model).set(at)
            for part, nats in kl_nats.items():
                self.window_kl.labels(model, part).set(nats)

    def untested(self, model: str, result: Literal["skipped", "error"]) -> None:
        """Count a window that was filled and not tested."""
        if model in self._watched:
            self.windows.labels(model, result).inc()

    def looked(self, model: str, ratios: Mapping[Input, float]) -> None:
        """Observe an image's brightness, contrast and sharpness over the reference's medians."""
        if model in self._watched:
            for name, value in ratios.items():
                self.inputs[name].labels(model).observe(value)

    def reviewed(self, model: str, label: Review) -> None:
        """Count a review."""
        if model in self._watched:
            self.reviews.labels(model, label).inc()

    def kept(self, model: str, *, fitted_at: float, queue_images: int, store_bytes: int) -> None:
        """Set when what serves was fitted (Unix time), and how much is kept of scored images."""
        if model in self._watched:
            self.fitted_at.labels(model).set(fitted_at)
            self.review_queue.labels(model).set(queue_images)
            self.store_bytes.labels(model).set(store_bytes)
