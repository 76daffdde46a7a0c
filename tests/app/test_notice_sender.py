"""Notices arrive: after failures, crashes and beside other processes, in order, each sink alone."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from notice_helpers import SECRET, Receiver, Watched, send_until, sender, states
from storage_helpers import Place

from app.clock import now
from app.errors import NotDeliveredError
from app.notices import sender as sending
from app.notices.content import Content
from app.notices.folder import Folder
from app.notices.webhook import Webhook
from app.storage import Storage, outbox
from app.telemetry import Telemetry


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook, with no proxy before it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Receiver().open() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LOOK_S", 0.02)
    monkeypatch.setattr(sending, "FIRST_S", 0.05)


def hook(receiver: Receiver) -> Webhook:
    """Return the way to a receiver."""
    return Webhook(receiver.url, SECRET, 30)


def counted(telemetry: Telemetry, sink: str) -> dict[str, float]:
    """Return what became of attempts at a sink."""
    sample = telemetry.registry.get_sample_value
    return {
        result: sample("gatewatch_notices_total", {"sink": sink, "result": result}) or 0
        for result in ("delivered", "retried", "given_up")
    }


def test_what_fails_is_tried_again(
    storage: Storage, receiver: Receiver, telemetry: Telemetry
) -> None:
    """Law: until it arrives; the same notice, byte for byte, signed anew."""
    bolts = Watched(storage, sinks=["webhook"])
    bolts.stand(7)
    receiver.answers = [(500, {}), (302, {"location": "/"}), (429, {})]

    def is_told() -> bool:  # what is kept comes first, the metrics a moment later
        waiting = telemetry.registry.get_sample_value(
            "gatewatch_notices_waiting", {"sink": "webhook"}
        )
        return counted(telemetry, "webhook")["delivered"] == 1 and waiting == 0

    send_until([sender(storage, {"webhook": hook(receiver)}, telemetry)], is_told)
    assert states(storage) == [{"webhook": "delivered"}]
    assert len(receiver.got) == 4
    assert len({each.body for each in receiver.got}) == 1
    assert {each.headers["webhook-id"] for each in receiver.got} == {bolts.alarm(7)["id"]}
    assert counted(telemetry, "webhook") == {"delivered": 1, "retried": 3, "given_up": 0}


def test_a_wait_that_is_asked_for_is_kept(
    storage: Storage, receiver: Receiver, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: Retry-After goes before the usual pause; others' notices go on meanwhile."""
    Watched(storage, "bolts", ["webhook"]).stand(7)
    receiver.answers = [(503, {"retry-after": "1000"})]
    Watched(storage, "nuts", ["webhook"]).stand(5)
    asked = now()

    def send(delivered: int) -> None:
        send_until(
            [sender(storage, {"webhook": hook(receiver)}, telemetry)],
            lambda: states(storage).count({"webhook": "delivered"}) == delivered,
        )

    send(1)
    assert [each["detector"] for each in receiver.contents] == ["bolts", "nuts"]
    (waits,) = outbox.Outbox(storage.database).latest(1, detector="bolts")
    assert waits.deliveries[0].due_at >= asked + timedelta(seconds=1000)
    monkeypatch.setattr(outbox, "now", lambda: now() + timedelta(seconds=1000))
    send(2)
    assert [each["detector"] for each in receiver.contents] == ["bolts", "nuts", "bolts"]


def test_pauses_grow_and_differ() -> None:
    """Contract: twice as long each time, less a chance part; never less than what is asked for."""
    for attempts in (1, 2, 5, 40, 10_000):
        whole_s = min(sending.LONGEST_S, sending.FIRST_S * 2.0 ** min(attempts - 1, 30))
        pauses_s = {sending.pause_s(attempts, 0.0) for _ in range(50)}
        assert len(pauses_s) == 50
        assert all(whole_s / 2 <= each <= whole_s for each in pauses_s)
    assert sending.pause_s(1, 120.0) == 120
    assert sending.pause_s(1, 1e9) == sending.GIVE_UP_S


class Stuck:
    """A sink that takes nothing; it may never want it again."""

    def __init__(self, *, final: bool = False) -> None:
        self.final = final
        self.asked = 0

    async def deliver(self, _content: Content) -> None:
        self.asked += 1
        raise NotDeliveredError("no room", final=self.final)


def test_what_fails_for_a_day_is_given_up(
    storage: Storage, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Contract: visibly, and with an attempt for each, however late; then the next has its turn."""
    bolts = Watched(storage, sinks=["folder"])
    bolts.stand(7)
    bolts.stand()
    day = timedelta(seconds=sending.GIVE_UP_S)
    later = sending.now() + day
    monkeypatch.setattr(sending, "now", lambda: later)
    stuck = Stuck()
    send_until(
        [sender(storage, {"folder": stuck}, telemetry)],
        lambda: states(storage) == [{"folder": "given_up"}] * 2,
    )
    assert stuck.asked == 2
    assert counted(telemetry, "folder") == {"delivered": 0, "retried": 0, "given_up": 2}
    assert caplog.text.count("is given up after 1 attempts: no room") == 2


def test_what_is_never_wanted_is_given_up_at_once(storage: Storage, telemetry: Telemetry) -> None:
    """Contract: 410 is the webhook's word for it."""
    Watched(storage, sinks=["webhook"]).stand(7)
    send_until(
        [sender(storage, {"webhook": Stuck(final=True)}, telemetry)],
        lambda: states(storage) == [{"webhook": "given_up"}],
    )


def test_one_sink_does_not_hold_up_another(
    storage: Storage, receiver: Receiver, telemetry: Telemetry, tmp_path: Path
) -> None:
    """Law: what one has not got, the others have."""
    bolts = Watched(storage, sinks=["webhook", "folder"])
    bolts.stand(7)
    bolts.stand()
    stuck = Stuck()
    both = {"webhook": stuck, "folder": Folder(tmp_path / "notices")}
    send_until(
        [sender(storage, both, telemetry)],
        lambda: (
            counted(telemetry, "webhook")["retried"] >= 3
            and states(storage) == [{"folder": "delivered", "webhook": "waiting"}] * 2
        ),
    )
    assert stuck.asked >= 3
    assert len(list((tmp_path / "notices").glob("*.json"))) == 2


def test_a_fault_of_our_own_is_an_attempt(storage: Storage, telemetry: Telemetry) -> None:
    """Contract: a sink that fails as it should not ends no task."""

    class Broken:
        asked = 0

        async def deliver(self, _content: Content) -> None:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("oh")

    Watched(storage, sinks=["mqtt"]).stand(7)
    send_until(
        [sender(storage, {"mqtt": Broken()}, telemetry)],
        lambda: states(storage) == [{"mqtt": "delivered"}],
    )
    assert counted(telemetry, "mqtt") == {"delivered": 1, "retried": 1, "given_up": 0}


def test_a_crash_before_delivery_loses_nothing(
    place: Place, receiver: Receiver, telemetry: Telemetry
) -> None:
    """Law: what was kept is delivered by the next process; once a lease is over, if one was held.

    Nothing of the first process goes on: its storage is closed, as by its end.
    """
    with place.opened() as first:
        Watched(first, sinks=["webhook"]).stand(7)
        outbox = sender(first, {}, telemetry).outbox
        claimed = outbox.claim("webhook", "d" * 32, 0.5)
        assert claimed is not None
    with place.opened() as second:
        send_until(
            [sender(second, {"webhook": hook(receiver)}, telemetry)],
            lambda: states(second) == [{"webhook": "delivered"}],
        )
        assert len(receiver.got) == 1


def test_a_hundred_alarms_arrive_in_order(
    storage: Storage, receiver: Receiver, telemetry: Telemetry
) -> None:
    """Law: each once, an end after its alarm, though some fail at first."""
    bolts = Watched(storage, sinks=["webhook"])
    for image in range(50):
        bolts.stand(image)
    bolts.stand(*range(50, 100))
    bolts.stand()
    refused = [(500, {}) if i % 9 == 4 else (204, {}) for i in range(100)]
    receiver.answers = list(refused)
    send_until(
        [sender(storage, {"webhook": hook(receiver)}, telemetry)],
        lambda: len(receiver.got) == 200 + refused.count((500, {})),
        120,
    )
    assert len(states(storage)) == 200
    taken = list(dict.fromkeys(receiver.ids))  # as a receiver drops what it knows
    assert len(taken) == 200
    place = {identity: at for at, identity in enumerate(taken)}
    by_id = {each["id"]: each for each in receiver.contents}
    ends = [each for each in by_id.values() if each["type"] == "drift.resolved"]
    assert len(ends) == 100
    assert all(place[each["alarm"]] < place[each["id"]] for each in ends)
    alarms = [by_id[each] for each in taken if by_id[each]["type"] == "drift.alarm"]
    assert [each["image_number"] for each in alarms] == list(range(100))


def _serve(place: Place, url: str, stop: Any) -> None:
    """Send notices in a process of one's own, until told to stop."""
    sending.LOOK_S = 0.02
    with place.opened() as storage:
        one = sender(storage, {"webhook": Webhook(url, SECRET, 30)}, Telemetry())
        send_until([one], stop.is_set, 300)


@pytest.mark.slow
def test_two_processes_deliver_each_once(place: Place, receiver: Receiver) -> None:
    """Law: whoever has it, each notice arrives once and in order, and both take part."""
    with place.opened() as storage:
        detectors = [Watched(storage, name, ["webhook"]) for name in ("bolts", "nuts", "pins")]
        spawn = multiprocessing.get_context("spawn")
        stop = spawn.Event()
        processes = [
            spawn.Process(target=_serve, args=(place, receiver.url, stop)) for _ in range(2)
        ]
        for process in processes:
            process.start()
        try:
            for image in range(20):
                for each in detectors:
                    each.stand(image)
            deadline = time.monotonic() + 90
            while any(each != {"webhook": "delivered"} for each in states(storage)):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            stop.set()
            for process in processes:
                process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]
        assert Counter(receiver.ids).most_common(1)[0][1] == 1
        assert len(receiver.got) == 3 * (20 + 19)
        for each in detectors:
            mine = [got for got in receiver.contents if got["detector"] == each.name]
            moments = [
                (datetime.fromisoformat(got["started_at"]), got["type"] == "drift.resolved")
                for got in mine
            ]
            ends = [moment for moment, over in moments if over]
            assert ends == sorted(ends)
            for moment, over in moments:
                assert not over or moments.index((moment, False)) < moments.index((moment, True))
