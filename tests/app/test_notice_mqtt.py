"""Notices by MQTT, against a real broker: acknowledged, retained, refused, absent."""

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt_broker import Broker
from notice_helpers import Watched, send_until, sender, states
from ports import free_port
from pydantic import SecretStr
from storage_helpers import Place

from app.clock import now
from app.errors import InvalidSinkError, NotDeliveredError
from app.notices import mqtt
from app.notices import sender as sending
from app.notices.content import trial
from app.notices.mqtt import Mqtt
from app.notices.sinks import sinks_of
from app.settings import Settings
from app.telemetry import Telemetry

TRIAL = trial("a" * 32, now())
KNOWN = "line%2F1:p%40ss%3Aw"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "WAIT_S", 30.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test's own."""
    with Broker(tmp_path, free_port()).running() as running:
        yield running


def failure(url: str) -> str:
    """Return how a delivery fails."""
    with pytest.raises(NotDeliveredError) as caught:
        asyncio.run(Mqtt(url).deliver(TRIAL))
    return str(caught.value)


def test_who_comes_late_hears_the_last_notice(
    broker: Broker, tmp_path: Path, telemetry: Telemetry
) -> None:
    """Contract: of each detector, retained, below the prefix; a test is not retained."""
    place = Place(tmp_path / "data")
    sink = Mqtt(f"mqtt://{KNOWN}@127.0.0.1:{broker.port}/plant/hall%201/")
    with place.opened() as storage:
        bolts = Watched(storage, "bolts", ["mqtt"])
        nuts = Watched(storage, "nuts", ["mqtt"])
        bolts.stand(7)
        nuts.stand(5)
        bolts.stand()
        send_until(
            [sender(storage, {"mqtt": sink}, telemetry)],
            lambda: states(storage) == [{"mqtt": "delivered"}] * 3,
        )
    asyncio.run(sink.deliver(TRIAL))
    heard = sorted(broker.heard("plant/#", 2))
    assert [each[0] for each in heard] == ["plant/hall 1/bolts/drift", "plant/hall 1/nuts/drift"]
    assert all(retained for _, _, retained in heard)
    (_, over, _), (_, stands, _) = heard
    assert (over["type"], over["standing"]) == ("drift.resolved", [])
    assert stands == {**nuts.alarm(5), "standing": ["bulk"]}


def test_a_test_notice_is_heard_by_who_listens(broker: Broker) -> None:
    """Contract: on a topic of its own."""
    sink = Mqtt(f"mqtt://{KNOWN}@127.0.0.1:{broker.port}/plant")
    got: list[Any] = []
    listening = threading.Thread(
        target=lambda: got.extend(broker.heard("plant/notices/test", 1)),
    )
    listening.start()
    while not got and listening.is_alive():
        asyncio.run(sink.deliver(TRIAL))
    listening.join()
    assert got[0] == ("plant/notices/test", TRIAL, False)


def test_what_the_broker_refuses_has_not_arrived(broker: Broker) -> None:
    """Contract: a wrong password, and a topic that the user may not write, are told apart."""
    address = f"127.0.0.1:{broker.port}"
    assert "Not authorized" in failure(f"mqtt://{KNOWN}hush@{address}/plant")
    assert "Not authorized" in failure(f"mqtt://{address}/plant")
    said = failure(f"mqtt://{KNOWN}@{address}/elsewhere")
    assert said == "the MQTT broker refuses: Not authorized"


def test_a_broker_that_is_away_or_silent_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: in bounded time; what is there and says nothing, too."""
    assert failure(f"mqtt://127.0.0.1:{free_port()}/plant").endswith("Connection refused")
    monkeypatch.setattr(mqtt, "WAIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        said = failure(f"mqtt://127.0.0.1:{port}/plant")
    assert said == "the MQTT broker gives no connection in 0.3 s"


def test_what_was_away_gets_its_notices(
    tmp_path: Path, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: nothing is lost while the broker restarts."""
    monkeypatch.setattr(sending, "LOOK_S", 0.02)
    monkeypatch.setattr(sending, "FIRST_S", 0.05)
    port = free_port()
    sink = Mqtt(f"mqtt://{KNOWN}@127.0.0.1:{port}/plant")
    with Place(tmp_path / "data").opened() as storage:
        Watched(storage, sinks=["mqtt"]).stand(7)
        one = sender(storage, {"mqtt": sink}, telemetry)
        send_until([one], lambda: one.outbox.latest(1)[0].deliveries[0].attempts >= 2)
        with Broker(tmp_path, port).running() as broker:
            send_until(
                [sender(storage, {"mqtt": sink}, telemetry)],
                lambda: states(storage) == [{"mqtt": "delivered"}],
            )
            assert broker.heard("plant/bolts/drift", 1)[0][1]["image_number"] == 7


@pytest.mark.parametrize(
    "url",
    [
        "http://hush/plant",
        "mqtt:///plant",
        "mqtt://hush",
        "mqtt://hush/",
        "mqtt://hush/plant/+",
        "mqtt://hush/pl%23ant",
        "mqtt://hush/plant?x=1",
        "mqtt://hush/plant#x",
        "mqtt://hush:port/plant",
        "mqtt://[hush/plant",
        "hush",
    ],
    ids=str,
)
def test_what_is_no_broker_is_refused_at_start(url: str) -> None:
    """Contract: with the form that is needed; what was given is not repeated."""
    with pytest.raises(InvalidSinkError, match="GATEWATCH_MQTT_URL must be") as caught:
        sinks_of(Settings(mqtt_url=SecretStr(url)))
    assert "hush" not in str(caught.value)


def test_a_missing_package_is_named_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: with what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InvalidSinkError, match=r"pip install 'gatewatch\[mqtt\]'"):
        sinks_of(Settings(mqtt_url=SecretStr("mqtt://h/plant")))
