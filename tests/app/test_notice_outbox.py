"""Notices are written with the state they tell of, and each goes to each sink once, in order."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from notice_helpers import Watched
from storage_helpers import BY, at_once

from app.clock import now
from app.errors import ConflictError
from app.notices.content import Ending
from app.storage import Storage
from app.storage.notices import Standing
from app.storage.outbox import Outbox

SINKS = ("webhook", "folder")


@pytest.fixture
def bolts(storage: Storage) -> Watched:
    """A detector with two sinks."""
    return Watched(storage, sinks=SINKS)


@pytest.fixture
def outbox(storage: Storage) -> Iterator[Outbox]:
    """What waits."""
    return Outbox(storage.database)


def told(outbox: Outbox) -> list[tuple[str, int, list[str]]]:
    """Return type, image and what stands after, of each notice, oldest first."""
    contents = [each.content for each in reversed(outbox.latest(1000))]
    return [(each["type"], each["image_number"], each["standing"]) for each in contents]


def test_what_stands_is_told_once_and_what_does_not_has_ended(
    bolts: Watched, outbox: Outbox
) -> None:
    """Law: notices are the differences of what stood, however often it is written."""
    for images in ((), (7,), (7,), (7, 9), (9,), (9,), (12,), ()):
        bolts.stand(*images)
    assert told(outbox) == [
        ("drift.alarm", 7, ["bulk"]),
        ("drift.alarm", 9, ["bulk"]),
        ("drift.resolved", 7, ["bulk"]),
        ("drift.resolved", 9, ["bulk"]),
        ("drift.alarm", 12, ["bulk"]),
        ("drift.resolved", 12, []),
    ]
    contents = [each.content for each in outbox.latest(1000)]
    assert len({each["id"] for each in contents}) == 6
    ends = {each["alarm"] for each in contents if each["type"] == "drift.resolved"}
    assert ends == {each["id"] for each in contents if each["type"] == "drift.alarm"}


def test_an_end_says_by_whom(bolts: Watched, outbox: Outbox) -> None:
    """Contract: action, name and reason; a key in the reason is left out."""
    bolts.stand(7)
    key = "gw_0123456789ab_" + "s" * 43
    bolts.stand(ending=Ending("drift.acknowledge", "ann", f"lamp {key}"))
    over = outbox.latest(1)[0].content
    assert over["resolved_by"]["action"] == "drift.acknowledge"
    assert over["resolved_by"]["who"] == "ann"
    assert over["resolved_by"]["reason"].startswith("lamp gw_0123456789ab_")
    assert "sss" not in str(over)
    assert over["summary"] == "The alarm of bulk of bolts has ended: it was acknowledged."
    assert over["started_at"] < over["resolved_at"] == over["timestamp"]


def test_a_state_that_was_not_kept_tells_nothing(bolts: Watched, outbox: Outbox) -> None:
    """Law: who lost the race has written no notice, and who repeats writes it once."""
    bolts.stand()
    standing = Standing(SINKS, {bolts.alarm(7)["id"]: bolts.alarm(7)})

    def write() -> str:
        try:
            bolts.states.put(bolts.id, b"raced", 1, None, standing)
        except ConflictError:
            return "told"
        return "kept"

    assert sorted(at_once([write] * 4)) == ["kept", "told", "told", "told"]
    bolts.stand(7)
    assert told(outbox) == [("drift.alarm", 7, ["bulk"])]


def test_a_deleted_detectors_alarms_end(storage: Storage, bolts: Watched, outbox: Outbox) -> None:
    """Contract: with the detector, in one transaction; nobody waits for their end for ever."""
    bolts.stand(7, 9)
    storage.versions.delete("bolts", BY)
    assert [each[:2] for each in told(outbox)[2:]] == [("drift.resolved", 7), ("drift.resolved", 9)]
    newest = outbox.latest(1)[0]
    assert newest.content["resolved_by"]["action"] == "detector.delete"
    assert [way.sink for way in newest.deliveries] == sorted(SINKS)
    with pytest.raises(ConflictError):
        bolts.stand(12)
    assert len(told(outbox)) == 4


def test_ends_go_to_whom_the_alarm_was_told(bolts: Watched, outbox: Outbox) -> None:
    """Contract: a sink that is new hears of no end of what it never heard of."""
    bolts.sinks = ("folder",)
    bolts.stand(7)
    bolts.sinks = SINKS
    bolts.stand(9)
    ways = [[way.sink for way in each.deliveries] for each in outbox.latest(10)]
    assert ways == [["folder", "webhook"], ["folder"], ["folder"]]


def test_one_process_has_a_notice_until_its_lease_ends(bolts: Watched, outbox: Outbox) -> None:
    """Law: one of many that claim at once has it; after the lease, or a release, another may."""
    bolts.stand(7)
    claims = at_once([partial(outbox.claim, "webhook", f"{i:032x}", 60) for i in range(4)])
    ((owner, mine),) = ((i, claimed) for i, claimed in enumerate(claims) if claimed is not None)
    assert mine.content["image_number"] == 7
    assert outbox.claim("webhook", "f" * 32, 60) is None
    assert outbox.claim("mqtt", "f" * 32, 60) is None
    assert outbox.claim("folder", "f" * 32, 60) is not None  # each sink goes its own way
    outbox.release(f"{owner:032x}")
    again = outbox.claim("webhook", "f" * 32, -1)  # a lease that is over at once
    assert again is not None
    assert again.attempts == 2
    third = outbox.claim("webhook", "e" * 32, 60)
    assert third is not None
    outbox.settle(again, "f" * 32, "delivered")  # too late: another has it
    assert outbox.waiting("webhook") == 1
    outbox.settle(third, "e" * 32, "delivered")
    assert outbox.waiting("webhook") == 0
    assert outbox.claim("webhook", "f" * 32, 60) is None


def test_nothing_overtakes_within_a_detector(
    storage: Storage, bolts: Watched, outbox: Outbox
) -> None:
    """Law: the next one of a detector comes after the one before has arrived, or is given up."""
    nuts = Watched(storage, "nuts", SINKS)
    bolts.stand(7)
    bolts.stand()
    nuts.stand(5)
    owner = "a" * 32
    first = outbox.claim("webhook", owner, 60)
    other = outbox.claim("webhook", owner, 60)
    assert first is not None
    assert other is not None
    assert first.content["type"] == "drift.alarm"
    assert other.content["detector"] == "nuts"
    assert outbox.claim("webhook", owner, 60) is None
    outbox.put_off(first, owner, 3600, "no route")
    assert outbox.claim("webhook", owner, 60) is None
    (way,) = (each for each in outbox.latest(9)[-1].deliveries if each.sink == "webhook")
    assert (way.state, way.problem, way.attempts) == ("waiting", "no route", 1)
    assert way.due_at > now() + timedelta(minutes=59)
    outbox.put_off(first, "b" * 32, 0, "")  # a stranger's word on it
    assert outbox.claim("webhook", owner, 60) is None


def test_old_notices_go_and_standing_alarms_stay(bolts: Watched, outbox: Outbox) -> None:
    """Contract: what has not ended must still be found when it ends."""
    bolts.stand(7, 9)
    bolts.stand(9)
    assert outbox.sweep(now() - timedelta(days=1)) == 0
    assert outbox.sweep(now() + timedelta(seconds=1)) == 2
    assert told(outbox) == [("drift.alarm", 9, ["bulk"])]
    assert outbox.waiting("webhook") == 1
    bolts.stand()
    assert told(outbox)[-1] == ("drift.resolved", 9, [])


def test_no_number_is_given_again(bolts: Watched, outbox: Outbox) -> None:
    """Contract: whoever asks for what is newer than the last one they know misses nothing."""
    bolts.stand(7)
    bolts.stand()
    last = max(each.sequence for each in outbox.latest(9))
    assert outbox.sweep(now() + timedelta(seconds=1)) == 2
    assert outbox.latest(9) == []
    bolts.stand(9)
    assert [each.sequence for each in outbox.latest(9)] == [last + 1]


def test_pages_are_of_one_detector_and_go_on(
    storage: Storage, bolts: Watched, outbox: Outbox
) -> None:
    """Contract: newest first, before a number, by the detector's name."""
    nuts = Watched(storage, "nuts", SINKS)
    for image in range(5):
        bolts.stand(*range(image + 1))
        nuts.stand(*range(image + 1))
    first = outbox.latest(3, detector="bolts")
    rest = outbox.latest(9, detector="bolts", before=first[-1].sequence)
    images = [each.content["image_number"] for each in (*first, *rest)]
    assert images == [4, 3, 2, 1, 0]
    assert len(outbox.latest(100)) == 10
