"""The series of drift: how many there are, what they say at first, and that they go."""

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.drift_telemetry import MOST_MODELS, DriftTelemetry
from app.telemetry import VERDICTS, Telemetry

SERIES = 77
BUDGET = 130


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"gatewatch_{name}", {"model": "a", **labels})


def serve(drift: DriftTelemetry, model: str, fingerprint: str = "f0") -> None:
    drift.watch(model)
    drift.serves(model, backbone="se-lite0", layer="gap", metric="fusion", fingerprint=fingerprint)


def everything(drift: DriftTelemetry, model: str) -> None:
    """Say all there is to say of a detector."""
    drift.promised(model, level=0.001, target_images=64, lag_images=2)
    drift.standing(model, "in_control")
    drift.filled(model, 3)
    drift.monitored(model, "bulk", 1.0, 4.0)
    drift.alarmed(model, "window")
    drift.tested(model, 0.2, {"mean": 0.1, "scale": 0.2, "corr": 0.3, "total": 0.6}, at=9.0)
    drift.untested(model, "error")
    drift.looked(model, {"brightness": 1.0, "contrast": 1.0, "sharpness": 1.0})
    drift.reviewed(model, "missed")
    drift.kept(model, fitted_at=5.0, queue_images=7, store_bytes=8)


def count(registry: CollectorRegistry, model: str) -> int:
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return sum(sample.labels.get("model") == model for sample in samples)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def drift(registry: CollectorRegistry) -> DriftTelemetry:
    return DriftTelemetry(registry)


def test_a_detector_has_as_many_series_as_is_said(
    registry: CollectorRegistry, drift: DriftTelemetry
) -> None:
    """Law: all its series exist from the start, and whatever is said makes no more."""
    serve(drift, "a")
    assert count(registry, "a") == SERIES
    everything(drift, "a")
    serve(drift, "a", "f1")
    assert count(registry, "a") == SERIES


def test_all_series_of_a_detector_stay_within_the_budget() -> None:
    """Law: with those of the service itself a detector has at most 130 series."""
    service = Telemetry()
    drift = service.drift
    serve(drift, "a")
    for verdict in VERDICTS:
        service.images_scored.labels("a", verdict)
    for histogram in (service.score_ratio, service.p_value):
        histogram.labels("a")
    for gauge in (service.reference_images, service.calibration_images):
        gauge.labels("a")
    for side in ("service", "shadow"):
        service.shadow_disagreements.labels("a", side)
    assert SERIES < count(service.registry, "a") <= BUDGET


def test_nothing_is_an_alarm_before_it_is_known(
    registry: CollectorRegistry, drift: DriftTelemetry
) -> None:
    """Contract: what is not known is NaN, of which no comparison holds; the state is off."""
    drift.watch("a")
    for name, labels in (
        ("drift_evidence_log10", {"monitor": "bulk"}),
        ("drift_evidence_threshold_log10", {"monitor": "bulk"}),
        ("drift_window_p_value", {}),
        ("drift_window_kl_nats", {"part": "corr"}),
        ("drift_window_level", {}),
        ("drift_last_window_timestamp_seconds", {}),
        ("reference_fitted_timestamp_seconds", {}),
    ):
        shown = value(registry, name, **labels)
        assert shown is not None, name
        assert math.isnan(shown), name
    assert value(registry, "drift_state") == 3
    assert value(registry, "drift_alarms_total", monitor="window") == 0


def test_what_is_said_is_shown(registry: CollectorRegistry, drift: DriftTelemetry) -> None:
    """Contract: each method moves its series and takes the units that it says."""
    serve(drift, "a")
    everything(drift, "a")
    assert value(registry, "drift_window_level") == 0.001
    assert value(registry, "drift_window_target_images") == 64
    assert value(registry, "calibration_lag_images") == 2
    assert value(registry, "drift_state") == 1
    assert value(registry, "drift_window_images") == 3
    assert value(registry, "drift_evidence_log10", monitor="bulk") == 1.0
    assert value(registry, "drift_evidence_threshold_log10", monitor="bulk") == 4.0
    assert value(registry, "drift_alarms_total", monitor="window") == 1
    assert value(registry, "drift_windows_total", result="tested") == 1
    assert value(registry, "drift_windows_total", result="error") == 1
    assert value(registry, "drift_window_p_value") == 0.2
    assert value(registry, "drift_window_kl_nats", part="scale") == 0.2
    assert value(registry, "drift_last_window_timestamp_seconds") == 9.0
    assert value(registry, "reference_fitted_timestamp_seconds") == 5.0
    assert value(registry, "input_contrast_ratio_bucket", le="0.9") == 0
    assert value(registry, "input_contrast_ratio_bucket", le="1.0") == 1
    assert value(registry, "reviews_total", label="missed") == 1
    assert value(registry, "review_queue_images") == 7
    assert value(registry, "store_bytes") == 8


def test_evidence_is_shown_to_a_little_above_its_threshold(
    registry: CollectorRegistry, drift: DriftTelemetry
) -> None:
    """Contract: 300 orders of magnitude would flatten the panel."""
    drift.watch("a")
    drift.monitored("a", "rate", 339.0, 4.0)
    assert value(registry, "drift_evidence_log10", monitor="rate") == 6.0


def test_only_what_serves_now_is_named(registry: CollectorRegistry, drift: DriftTelemetry) -> None:
    """Contract: the model's line changes with it, and the old one goes."""
    serve(drift, "a", "f0")
    serve(drift, "a", "f1")
    lines = [x for x in generate_latest(registry).decode().splitlines() if "model_info{" in x]
    assert len(lines) == 1
    assert 'fingerprint="f1"' in lines[0]


def test_a_forgotten_detector_does_not_come_back(
    registry: CollectorRegistry, drift: DriftTelemetry
) -> None:
    """Contract: its series go, and what comes late about it brings none back."""
    serve(drift, "a")
    serve(drift, "b")
    drift.forget("a")
    everything(drift, "a")
    drift.serves("a", backbone="x", layer="x", metric="x", fingerprint="x")
    assert count(registry, "a") == 0
    assert count(registry, "b") == SERIES


def test_detectors_beyond_the_most_have_no_series(
    registry: CollectorRegistry, drift: DriftTelemetry
) -> None:
    """Law: the number of all series is bounded; a detector that goes makes room."""
    for number in range(MOST_MODELS + 1):
        drift.watch(f"m{number}")
    assert count(registry, f"m{MOST_MODELS - 1}") > 0
    assert count(registry, f"m{MOST_MODELS}") == 0
    drift.forget("m0")
    drift.watch(f"m{MOST_MODELS}")
    assert count(registry, f"m{MOST_MODELS}") > 0
