"""What the service says of itself: metrics, information, timings, log lines."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    calibrated,
    create,
    encode,
    problem,
    result,
    running,
    send,
    strict,
    upload,
)
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from starlette.testclient import TestClient

from app import __version__
from detector.embedder import Embedder

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRIES = 20
ROUTE = "/v1/detectors/{name}"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[TestClient]:
    quiet = {"health_seconds": 3600}  # no canary beside the images that are counted
    with running(tmp_path_factory.mktemp("telemetry"), embedder, **quiet) as client:
        yield client


def samples(text: str, parse: Callable[[str], Any]) -> Samples:
    """Return every sample of a scrape; what does not parse, or comes twice, is an error."""
    found: Samples = {}
    for family in parse(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def scrape(client: TestClient) -> Samples:
    return samples(client.get("/metrics").text, parser.text_string_to_metric_families)


def value(found: Samples, series: str, **labels: str) -> float | None:
    return found.get((series, frozenset(labels.items())))


@pytest.fixture(scope="module")
def traffic(client: TestClient, pngs: list[bytes]) -> list[dict[str, Any]]:
    """A known history: six images judged by one detector, two by another; return the six."""
    calibrated(client, "gravel", pngs[:40])
    create(client, "plain")
    upload(client, "plain", "fit", [*pngs[:5], b""])
    judged = [result(client, "gravel", png) for png in pngs[40:43]]
    form = strict(upload(client, "gravel", "score", [*pngs[43:45], b"no image", pngs[45]]))
    judged += [item for item in form["results"] if item["verdict"] != "invalid"]
    for png in pngs[46:48]:
        result(client, "plain", png)
    tiny = encode(np.zeros((1, 1, 3), np.uint8))
    problem(send(client, "gravel", tiny), 415, "unsupported-image")
    for unknown in ("a", "b", "c"):
        client.get(f"/v1/detectors/{unknown}")
        client.get(f"/nope/{unknown}")
    for method in ("BREW", "WHEN", "PATCH"):
        client.request(method, "/v1/detectors")
    for probe in ("/livez", "/readyz", "/health", "/metrics"):
        client.get(probe)
    return judged


def test_requests_are_counted_by_route_method_and_status(
    client: TestClient, traffic: list[dict[str, Any]]
) -> None:
    """Contract: templates for paths, no client's word for a label, no probes."""
    found = scrape(client)
    counts = {
        tuple(dict(labels)[key] for key in ("method", "route", "status")): count
        for (name, labels), count in found.items()
        if name == "gatewatch_requests_total"
    }
    assert counts[("GET", "/v1/jobs/{job}", "200")] >= 3  # asked until they had ended
    assert counts == {
        ("GET", "/v1/jobs/{job}", "200"): counts[("GET", "/v1/jobs/{job}", "200")],
        ("POST", "/v1/detectors", "201"): 2,
        ("POST", f"{ROUTE}/fit", "202"): 2,
        ("POST", f"{ROUTE}/calibrate", "202"): 1,
        ("POST", f"{ROUTE}/score", "200"): 6,
        ("POST", f"{ROUTE}/score", "415"): 1,
        ("GET", ROUTE, "404"): 3,
        ("any", "unmatched", "404"): 3,
        ("any", "/v1/detectors", "405"): 3,
    }
    for route in {route for _, route, _ in counts}:
        total = sum(count for (_, its, _), count in counts.items() if its == route)
        name = "gatewatch_request_duration_seconds"
        assert value(found, f"{name}_count", route=route) == total
        assert value(found, f"{name}_bucket", route=route, le="+Inf") == total
        assert (value(found, f"{name}_sum", route=route) or 0) > 0


def test_jobs_are_counted_by_how_they_ended(
    client: TestClient, traffic: list[dict[str, Any]]
) -> None:
    """Contract: by kind and state, when they end."""
    found = scrape(client)
    ended = {
        (dict(labels)["kind"], dict(labels)["state"]): count
        for (name, labels), count in found.items()
        if name == "gatewatch_jobs_total" and count
    }
    assert ended == {("fit", "succeeded"): 2, ("calibrate", "succeeded"): 1}


def test_images_are_counted_by_verdict_and_reason(
    client: TestClient, traffic: list[dict[str, Any]]
) -> None:
    """Contract: what the answers said, added up; a series exists before its first count."""
    found = scrape(client)
    words = [item["verdict"] for item in traffic]
    for model, verdicts in (("gravel", words), ("plain", ["uncalibrated"] * 2)):
        for verdict in ("normal", "anomalous", "uncalibrated"):
            count = value(found, "gatewatch_images_scored_total", model=model, verdict=verdict)
            assert count == verdicts.count(verdict)
    reasons = {"decode": 2, "unsupported": 1, "too_large": 0, "overload": 0, "fitted": 0}
    for reason, count in reasons.items():
        assert value(found, "gatewatch_images_rejected_total", reason=reason) == count
    assert value(found, "gatewatch_reference_images", model="gravel") == 20
    assert value(found, "gatewatch_calibration_images", model="gravel") == 20
    assert value(found, "gatewatch_reference_images", model="plain") == 5
    assert value(found, "gatewatch_calibration_images", model="plain") == 0


def test_scores_and_p_values_are_distributions(
    client: TestClient, traffic: list[dict[str, Any]]
) -> None:
    """Reference: sums over the answers; an uncalibrated detector has neither."""
    found = scrape(client)
    ratios = [item["score"] / item["threshold"] for item in traffic]
    p_values = [item["p_value"] for item in traffic]
    for name, expected in (
        ("gatewatch_anomaly_score_ratio", ratios),
        ("gatewatch_conformal_p_value", p_values),
    ):
        assert value(found, f"{name}_count", model="gravel") == len(expected)
        assert value(found, f"{name}_sum", model="gravel") == pytest.approx(sum(expected))
        assert value(found, f"{name}_count", model="plain") is None
        below = value(found, f"{name}_bucket", model="gravel", le="0.5")
        assert below == sum(one <= 0.5 for one in expected)


def test_every_stage_and_batch_is_timed(client: TestClient, traffic: list[dict[str, Any]]) -> None:
    """Contract: one observation per scored image and stage; batches add up to the images."""
    found = scrape(client)
    for stage in ("decode", "queue", "forward", "score", "total"):
        assert value(found, "gatewatch_stage_duration_seconds_count", stage=stage) == 8
    embedded = 1 + 40 + 5 + 8  # one to warm up, fitted and calibrated, fitted, scored
    assert value(found, "gatewatch_batch_images_sum") == embedded
    assert value(found, "gatewatch_queue_images") == 0


def test_both_formats_hold_the_same(client: TestClient, traffic: list[dict[str, Any]]) -> None:
    """Contract: by the Accept header, each under its content type, each readable."""
    for _ in range(TRIES):  # what goes on in the background may change a value in between
        plain = client.get("/metrics")
        other = client.get("/metrics", headers={"accept": OPENMETRICS})
        if client.get("/metrics").text == plain.text:
            break
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert other.headers["content-type"].startswith(OPENMETRICS)
    theirs = samples(other.text, openmetrics.text_string_to_metric_families)
    ours = samples(plain.text, parser.text_string_to_metric_families)
    assert theirs == pytest.approx(ours, rel=0, abs=0, nan_ok=True)


def test_labels_are_few(client: TestClient, traffic: list[dict[str, Any]]) -> None:
    """Contract: a route is one that exists, a model is a detector that exists."""
    routes = set(strict(client.get("/openapi.json"))["paths"]) | {"unmatched"}
    for _, labels in scrape(client):
        given = dict(labels)
        assert given.get("route", "unmatched") in routes
        assert given.get("model", "plain") in {"gravel", "plain"}


def test_a_deleted_detector_leaves_no_series(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: so that a name that is used once does not stay for ever."""
    calibrated(client, "gone", pngs[:40])
    result(client, "gone", pngs[50])
    assert "gone" in client.get("/metrics").text
    client.delete("/v1/detectors/gone")
    assert "gone" not in client.get("/metrics").text


def test_info_says_what_runs_and_what_it_takes(client: TestClient, embedder: Embedder) -> None:
    """Contract: versions, backbone, and the limits in force."""
    info = strict(client.get("/v1/info"))
    assert info["version"] == __version__
    assert (info["backbone"], info["device"]) == (embedder.name, "cpu")
    assert info["backbone_fingerprint"] == embedder.fingerprint
    assert {"gaussian", "prototype"} <= set(info["scorers"])
    assert {"gate", "squeeze", "squeeze_stats"} <= set(info["descriptors"])
    assert "image/png" in info["media_types"]
    settings = client.app.state.service.settings  # type: ignore[attr-defined]
    assert info["limits"] == settings.limits
    assert info["limits"]["max_request_images"] == 1000


def test_server_timing_is_the_longest_of_each_stage(
    client: TestClient, traffic: list[dict[str, Any]], pngs: list[bytes]
) -> None:
    """Contract: in milliseconds, as in the body; absent where nothing was scored."""
    response = upload(client, "gravel", "score", pngs[:3])
    timings = [item["timings_ms"] for item in strict(response)["results"]]
    header = response.headers["server-timing"]
    found = {name: float(ms) for name, ms in re.findall(r"(\w+);dur=([\d.]+)", header)}
    assert list(found) == ["decode", "queue", "forward", "judge"]
    for stage, ms in found.items():
        assert ms == pytest.approx(max(item[stage] for item in timings), abs=0.006)
    assert "server-timing" not in upload(client, "gravel", "score", [b""]).headers


def test_every_request_but_probes_leaves_one_line(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: JSON with id, method, path and status; a newline in the path stays escaped."""
    with caplog.at_level(logging.INFO, "gatewatch.access"):
        for path in ("/livez", "/readyz", "/health", "/metrics"):
            client.get(path)
        client.get("/nope%0A%22evil%22", headers={"X-Request-ID": "id-1"})
    (record,) = [record for record in caplog.records if record.name == "gatewatch.access"]
    assert "\n" not in record.getMessage()
    line = json.loads(record.getMessage())
    assert line.pop("ms") >= 0
    assert line == {
        "request_id": "id-1",
        "method": "GET",
        "path": '/nope\n"evil"',
        "status": 404,
    }
