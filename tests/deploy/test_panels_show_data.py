"""Each query of the dashboard has an answer from a real Prometheus that scrapes every metric."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from alerting_processes import DEPLOY, ask, prometheus, query, until
from dashboard_queries import empty, hurried, queries
from filled_metrics import IMAGE, MODEL, Exporter


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has scraped all metrics while they moved."""
    exporter = Exporter()
    with (
        exporter.served() as port,
        prometheus(tmp_path_factory.mktemp("server"), f"127.0.0.1:{port}") as url,
    ):

        def moved() -> bool:
            exporter.scores()
            exporter.everything_else()
            # Fitted anew: a moment that is marked on the panels.
            exporter.drift.fitted_at.labels(MODEL).set(time.time())
            return bool(query(url, f'count_over_time(up{{instance="127.0.0.1:{port}"}}[1m]) >= 8'))

        until(moved, "eight scrapes")
        yield url


@pytest.mark.slow
def test_every_query_returns_numbers(server: str) -> None:
    """Contract: no panel is empty, none shows only NaN."""
    assert empty(server) == []


@pytest.mark.slow
def test_every_metric_that_is_declared_is_scraped(server: str) -> None:
    """Contract: the exporter fills all of them, so that the test above leaves none out."""
    declared = {metric.name for metric in Exporter().service.registry.collect()}
    names: set[str] = set(ask(f"{server}/api/v1/label/__name__/values")["data"])
    suffixes = ("", "_total", "_count")
    assert {name for name in declared if not names & {name + end for end in suffixes}} == set()


@pytest.mark.slow
def test_exemplars_name_their_image(server: str) -> None:
    """Contract: the label that the data source turns into a link arrives in Prometheus."""
    asked = {
        "query": hurried(next(expr for _, expr in queries() if "0.95" in expr)),
        "start": time.time() - 60,
        "end": time.time(),
    }
    found: list[dict[str, Any]] = ask(f"{server}/api/v1/query_exemplars?{urlencode(asked)}")["data"]
    names = {each["labels"].get("image_id") for series in found for each in series["exemplars"]}
    assert names == {IMAGE}


def test_exemplars_lead_to_the_image() -> None:
    """Contract: the data source links that label, its own variable kept from the environment."""
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8")
    assert "name: image_id" in source
    assert "url: ${SERVICE_URL}/v1/images/$${__value.raw}" in source
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text("utf-8")
    assert "SERVICE_URL: ${SERVICE_URL:-http://localhost:8000}" in compose
