"""What Prometheus reads: names, labels and buckets, and when a series exists."""

import math
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from storage_helpers import CALIBRATION, detector, entry

from app.drift_telemetry import DriftTelemetry
from app.results import Timings
from app.telemetry import REJECTIONS, VERDICTS, Telemetry, scrape
from detector.verdict import Verdict

RATIO = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10)
P_VALUE = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
STAGE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
BATCH = (1, 2, 4, 8, 16, 32, 64)
SERIES: dict[str, tuple[str, set[str], tuple[float, ...]]] = {
    "gatewatch_images_scored": ("counter", {"model", "verdict"}, ()),
    "gatewatch_images_rejected": ("counter", {"reason"}, ()),
    "gatewatch_anomaly_score_ratio": ("histogram", {"model"}, RATIO),
    "gatewatch_conformal_p_value": ("histogram", {"model"}, P_VALUE),
    "gatewatch_stage_duration_seconds": ("histogram", {"stage"}, STAGE),
    "gatewatch_batch_images": ("histogram", set(), BATCH),
    "gatewatch_reference_images": ("gauge", {"model"}, ()),
    "gatewatch_calibration_images": ("gauge", {"model"}, ()),
    "gatewatch_build_info": ("gauge", {"version", "backbone", "device"}, ()),
    "gatewatch_queue_images": ("gauge", set(), ()),
    "gatewatch_admitted_bytes": ("gauge", set(), ()),
    "gatewatch_requests": ("counter", {"route", "method", "status"}, ()),
    "gatewatch_request_duration_seconds": ("histogram", {"route"}, ()),
    "gatewatch_jobs": ("counter", {"kind", "state"}, ()),
    "gatewatch_history_dropped_images": ("counter", set(), ()),
    "gatewatch_drift_dropped_images": ("counter", set(), ()),
    "gatewatch_shadow_disagreements": ("counter", {"model", "side"}, ()),
    "gatewatch_stage_last_progress_timestamp_seconds": ("gauge", {"stage"}, ()),
    "gatewatch_stage_calls": ("gauge", {"stage"}, ()),
    "gatewatch_notices": ("counter", {"sink", "result"}, ()),
    "gatewatch_notices_waiting": ("gauge", {"sink"}, ()),
}
"""Name, kind, labels and buckets that dashboards and rules rely on, but for those of drift."""
ID = "0123456789abcdef0123456789abcdef"
TIMINGS = Timings(decode_s=0.002, queue_s=0.004, forward_s=0.02, judge_s=0.0005)


def of_drift() -> set[str]:
    """Return the names of drift's own series, which have tests of their own."""
    registry = CollectorRegistry()
    DriftTelemetry(registry)
    return {family.name for family in registry.collect()}


NAMES = SERIES.keys() | of_drift()


def verdict(score: float, threshold: float | None = 2.0, p_value: float | None = 0.25) -> Verdict:
    """Return a verdict on one image."""
    flagged = None if threshold is None else score > threshold
    margin = None if threshold is None else score - threshold
    return Verdict(score, {"block": score}, threshold, margin, p_value, flagged)


def used(telemetry: Telemetry) -> Telemetry:
    """Return the series after one of everything."""
    telemetry.detector(entry(detector()))
    telemetry.scored("bolts", verdict(1.0), ID)
    telemetry.took(TIMINGS)
    telemetry.batch_images.observe(3)
    telemetry.stage("decode", lambda: 1.0, lambda: 2.0)
    telemetry.build_info.labels("1", "se-lite0", "cpu").set(1)
    telemetry.requests.labels("/v1/info", "GET", "200").inc()
    telemetry.request_seconds.labels("/v1/info").observe(0.01)
    telemetry.jobs.labels("fit", "succeeded").inc()
    telemetry.notices.watch("webhook")
    telemetry.shadow_disagreements.labels("bolts", "shadow").inc()
    return telemetry


def test_series_are_those_that_were_agreed(telemetry: Telemetry) -> None:
    """Contract: every name, kind, label and bucket; nothing else is exported but drift's."""
    families = {family.name: family for family in used(telemetry).registry.collect()}
    assert families.keys() == NAMES
    for name, (kind, labels, buckets) in SERIES.items():
        family = families[name]
        assert family.type == kind, name
        assert family.documentation.endswith((".", "'s."))
        found = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert found == labels, name
        edges = {float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels}
        if buckets:
            assert edges == {*buckets, math.inf}, name


def test_alarms_can_rely_on_counters_that_start_at_zero(telemetry: Telemetry) -> None:
    """Contract: a rate over a counter that appears with its first event misses that event."""
    sample = telemetry.registry.get_sample_value
    for reason in REJECTIONS:
        assert sample("gatewatch_images_rejected_total", {"reason": reason}) == 0
    assert sample("gatewatch_images_scored_total", {"model": "bolts", "verdict": "normal"}) is None
    telemetry.detector(entry(detector()))
    for word in VERDICTS:
        labels = {"model": "bolts", "verdict": word}
        assert sample("gatewatch_images_scored_total", labels) == 0


def test_detector_shows_its_state(telemetry: Telemetry) -> None:
    """Contract: of the version in service, and of no other; a fit anew shows it."""
    sample = telemetry.registry.get_sample_value
    first = detector()
    calibrated = first.calibrate(CALIBRATION, 0.1)
    for state, version, serves, count in (
        (first, 1, 1, 0),
        (calibrated, 2, 2, 21),
        (first, 3, 2, 21),
        (first, 3, 3, 0),
    ):
        telemetry.detector(entry(state, version, in_service=serves))
        assert sample("gatewatch_reference_images", {"model": "bolts"}) == 9
        assert sample("gatewatch_calibration_images", {"model": "bolts"}) == count


@pytest.mark.parametrize(
    ("given", "word", "ratio", "p_value"),
    [
        (verdict(1.0), "normal", 0.5, 0.25),
        (verdict(3.0, p_value=0.04), "anomalous", 1.5, 0.04),
        (verdict(2.0), "normal", 1.0, 0.25),
        (verdict(3.0, p_value=None), "anomalous", 1.5, None),
        (verdict(3.0, threshold=None, p_value=None), "uncalibrated", None, None),
        (verdict(3.0, threshold=0.0), "anomalous", None, 0.25),
        (verdict(3.0, threshold=-1.0), "anomalous", None, 0.25),
        (replace(verdict(1.5), uncertain=True), "uncertain", 0.75, 0.25),
    ],
)
def test_scores_are_observed(
    given: Verdict, word: str, ratio: float | None, p_value: float | None, telemetry: Telemetry
) -> None:
    """Contract: by verdict, as a share of the threshold, and as a p-value, where there are such."""
    telemetry.detector(entry(detector()))
    telemetry.scored("bolts", given, ID)
    sample = telemetry.registry.get_sample_value
    for other in VERDICTS:
        labels = {"model": "bolts", "verdict": other}
        assert sample("gatewatch_images_scored_total", labels) == (other == word)
    for name, value in (("anomaly_score_ratio", ratio), ("conformal_p_value", p_value)):
        count = sample(f"gatewatch_{name}_count", {"model": "bolts"})
        assert (count or 0) == (value is not None)
        if value is not None:
            assert sample(f"gatewatch_{name}_sum", {"model": "bolts"}) == pytest.approx(value)


def test_exemplars_name_the_image(telemetry: Telemetry) -> None:
    """Contract: a bucket of score over threshold, and the anomalous ones, name their last image."""
    telemetry.detector(entry(detector()))
    for score, identity in ((1.0, "a" * 32), (1.01, "b" * 32), (3.0, "c" * 32)):
        telemetry.scored("bolts", verdict(score), identity)
    text = bytes(scrape(telemetry, "application/openmetrics-text").body).decode()
    found = {
        (sample.name, sample.labels.get("le", sample.labels.get("verdict"))): sample.exemplar.labels
        for family in openmetrics(text)
        for sample in family.samples
        if sample.exemplar
    }
    assert found == {
        ("gatewatch_anomaly_score_ratio_bucket", "0.6"): {"image_id": "b" * 32},
        ("gatewatch_anomaly_score_ratio_bucket", "0.5"): {"image_id": "a" * 32},
        ("gatewatch_anomaly_score_ratio_bucket", "1.5"): {"image_id": "c" * 32},
        ("gatewatch_images_scored_total", "anomalous"): {"image_id": "c" * 32},
    }


def test_what_serves_is_told_once(telemetry: Telemetry) -> None:
    """Contract: backbone, descriptor, scorer and fingerprint of the version in service alone."""
    bolts = detector()
    for _ in range(2):
        telemetry.detector(entry(bolts))
    info = {family.name: family for family in telemetry.registry.collect()}["gatewatch_model_info"]
    spec = bolts.spec
    (sample,) = info.samples
    assert sample.labels == {
        "model": "bolts",
        "backbone": spec.backbone,
        "layer": spec.descriptor,
        "metric": spec.scorer,
        "fingerprint": spec.backbone_fingerprint,
    }


def test_stages_add_up(telemetry: Telemetry) -> None:
    """Contract: in seconds, each stage and their sum."""
    telemetry.took(TIMINGS)
    sums = {
        stage: telemetry.registry.get_sample_value(
            "gatewatch_stage_duration_seconds_sum", {"stage": stage}
        )
        for stage in ("decode", "queue", "forward", "score", "total")
    }
    assert sums == pytest.approx(
        {"decode": 0.002, "queue": 0.004, "forward": 0.02, "score": 0.0005, "total": 0.0265}
    )


def test_forgotten_detectors_leave_no_series(telemetry: Telemetry) -> None:
    """Law: forget = never seen; other detectors' series stay."""
    telemetry.detector(entry(detector("nuts")))
    telemetry.scored("nuts", verdict(1.0), ID)
    telemetry.detector(entry(detector()))
    telemetry.scored("bolts", verdict(3.0), ID)
    telemetry.shadow_disagreements.labels("bolts", "service").inc()
    telemetry.forget("bolts")
    models = {
        sample.labels["model"]
        for family in telemetry.registry.collect()
        for sample in family.samples
        if "model" in sample.labels
    }
    assert models == {"nuts"}
    telemetry.forget("never seen")
    labels = {"model": "nuts", "verdict": "normal"}
    assert telemetry.registry.get_sample_value("gatewatch_images_scored_total", labels) == 1


def test_two_services_do_not_share_series(telemetry: Telemetry) -> None:
    """Contract: the registry is one's own."""
    used(telemetry)
    labels = {"model": "bolts", "verdict": "normal"}
    assert Telemetry().registry.get_sample_value("gatewatch_images_scored_total", labels) is None


def test_format_is_negotiated(telemetry: Telemetry) -> None:
    """Contract: OpenMetrics for who accepts it, Prometheus' text else; both can be parsed."""
    used(telemetry)
    open_ = scrape(telemetry, "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert open_.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    text = bytes(open_.body).decode()
    assert text.endswith("# EOF\n")
    assert {family.name for family in openmetrics(text)} == NAMES
    for accept in ("", "*/*", "text/plain"):
        answer = scrape(telemetry, accept)
        assert answer.headers["content-type"].startswith("text/plain; version=")
        names = {family.name for family in plain(bytes(answer.body).decode())}
        assert names == NAMES
    assert "_created" not in text
