"""From pictures to a message: a real service, Prometheus, Alertmanager, a webhook, and back.

The tests are one story in the order of this file: normal traffic, a lamp that fails, acknowledged.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from alerting_processes import alertmanager, ask, prometheus, query, until
from dashboard_queries import DASHBOARD, UNSEEN, asked, empty, exported, queries, rules
from watched_service import service
from webhook_receiver import webhook

from app.simulation.pictures import Drawn, jpeg
from app.simulation.play import Player
from app.simulation.script import Act, Phase
from app.simulation.subject import Subject
from gatewatch import Client

pytestmark = pytest.mark.slow
NAME, ALERT = "simulated", "GatewatchDriftDetected"
FITTED, CALIBRATED, NORMAL, CHANGED = 30, 200, 60, 60
EMPTY_BY_NATURE = {
    "Flagged by one version alone": "no other version scores alongside",
    "Notices that wait, and attempts per second": "nobody is sent any",
    "fitted anew": "a moment: it was fitted once, before there was anything to compare with",
    "alarm": "a moment: it has passed when the panels are asked",
}
"""Panels and marks that may be without a number although all is well, and why."""


@dataclass(frozen=True)
class Watched:
    """A service with a detector, and everything that watches it."""

    subject: Subject
    client: Client
    prometheus: str
    alertmanager: str
    arrived: list[tuple[str, dict[str, Any]]]

    def play(self, phase: Phase) -> None:
        """Stream a phase as fast as it goes."""
        player = Player(self.subject, Drawn(0), 0, 1000, lambda *_: None)
        player.play([Act(phase, None)])

    def firing(self) -> set[str]:
        alerts = ask(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What has arrived of drift: the path and each message."""
        return [each for each in self.arrived if each[1]["groupLabels"]["alertname"] == ALERT]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with (
        webhook() as (receiver, arrived),
        service(folder) as target,
        alertmanager(folder, receiver) as manager,
        prometheus(folder, target, manager) as server,
        Client(f"http://{target}") as client,
    ):
        subject = Subject(client, NAME)
        subject.make(image_size=96)
        for part, images in (("fit", FITTED), ("calibrate", CALIBRATED)):
            subject.learn(Drawn(0), part, images, lambda _: lambda _: None)
        yield Watched(subject, client, server, manager, arrived)


def scrapes(watched: Watched) -> float:
    """How often Prometheus has seen the state of the detector."""
    seen = query(
        watched.prometheus, f'count_over_time(gatewatch_drift_state{{model="{NAME}"}}[5m])'
    )
    return float(seen[0]["value"][1]) if seen else 0


def test_normal_traffic_is_silent(watched: Watched) -> None:
    """Contract: over several scrapes no alert fires and nobody is told anything."""
    before = scrapes(watched)
    watched.play(Phase("normal", NORMAL, 0))
    until(lambda: scrapes(watched) >= before + 5, "five scrapes")
    scored = f'sum(gatewatch_images_scored_total{{model="{NAME}"}})'
    until(lambda: query(watched.prometheus, scored)[0]["value"][1] == str(NORMAL), "all images")
    assert watched.firing() == set()
    assert watched.arrived == []


def test_a_failing_lamp_reaches_the_webhook(watched: Watched) -> None:
    """Contract: a page with the detector, a monitor, and the way to the dashboard."""
    watched.play(Phase("lighting", CHANGED, NORMAL))
    assert "input" in {alarm.monitor for alarm in watched.subject.standing().alarms}
    until(watched.told, "the page")
    path, message = watched.told()[0]
    assert (path, message["status"]) == ("/page", "firing")
    labels = [alert["labels"] for alert in message["alerts"]]
    assert {each["model"] for each in labels} == {NAME}
    assert {each["severity"] for each in labels} == {"page"}
    until(lambda: ALERT in watched.firing(), "the alert in Prometheus")
    alerts = ask(f"http://{watched.alertmanager}/api/v2/alerts")
    monitors = {alert["labels"].get("monitor") for alert in alerts}
    assert "input" in monitors


def test_an_exemplar_leads_to_its_image(watched: Watched) -> None:
    """Contract: the ids that Prometheus keeps with the counts are images that can be asked for."""
    for asked_of, verdict in (
        (f'gatewatch_images_scored_total{{model="{NAME}",verdict="anomalous"}}', "anomalous"),
        (f'gatewatch_anomaly_score_ratio_bucket{{model="{NAME}",le="0.7"}}', "normal"),
    ):
        moments = {"query": asked_of, "start": time.time() - 300, "end": time.time()}
        address = f"{watched.prometheus}/api/v1/query_exemplars?{urlencode(moments)}"
        found = ask(address)["data"]
        ids = [each["labels"]["image_id"] for series in found for each in series["exemplars"]]
        assert ids, asked_of
        image = watched.client.image(ids[-1]).image
        assert (image.id, image.detector) == (ids[-1], NAME)
        assert image.verdict == verdict


def test_what_is_asked_for_is_what_the_service_gives(watched: Watched) -> None:
    """Contract: of panels and rules every metric is in /metrics, and the reverse."""
    given = exported(watched.client.metrics())
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    names = asked(json.loads(DASHBOARD.read_text(encoding="utf-8")))
    assert names - recorded - set().union(*given.values()) == set()
    assert {metric for metric, series in given.items() if not names & series} == UNSEEN.keys()


def test_every_panel_has_something_to_show(watched: Watched) -> None:
    """Contract: real traffic answers every query, but for those that are empty by nature."""
    numbers = iter(range(1000, 2000))

    def missing() -> set[str]:
        for _ in range(3):
            watched.subject.score([jpeg(Drawn(0).get("traffic", next(numbers)))])
        return {title for title, _ in empty(watched.prometheus)} - EMPTY_BY_NATURE.keys()

    assert EMPTY_BY_NATURE.keys() <= {title for title, _ in queries()}
    end = time.monotonic() + 120
    while missing() and time.monotonic() < end:
        time.sleep(0.5)
    assert missing() == set()


def test_an_acknowledged_alarm_is_taken_back(watched: Watched) -> None:
    """Contract: the webhook is told that it is over, and nothing about drift fires any more."""
    assert ALERT in watched.firing()
    assert watched.subject.acknowledge().state == "in_control"
    until(lambda: watched.told()[-1][1]["status"] == "resolved", "the all-clear")
    until(lambda: ALERT not in watched.firing(), "the end of the alert")
