"""What scoring uses is read once for all who wait, and before anybody has to wait."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reading_helpers import Readings
from storage_helpers import BY, Place, Seconds, calibrated, detector

from app.at_hand import AtHand
from app.errors import StorageUnavailableError, UnknownDetectorError, UnknownVersionError
from app.storage import Storage
from app.storage.version_reader import AGES_S, FRESH_S, Stored

AGED_S = (AGES_S + FRESH_S) / 2
"""When what was read still serves, and is read again."""
NAMES = ("bolts", "nuts", "plates")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    for module in ("app.at_hand", "app.storage.version_reader"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """One with three detectors, each at version 2 of two."""
    with Place(tmp_path).opened() as storage:
        for seed, name in enumerate(NAMES):
            made = storage.versions.create(detector(name, seed), BY)
            storage.versions.add(made, calibrated(made.detector), "calibrate", BY)
        yield storage


@pytest.fixture
def readings(storage: Storage, monkeypatch: pytest.MonkeyPatch, clock: Seconds) -> Readings:
    """Those of the storage, by a clock that stands still."""
    readings = Readings(storage.versions)
    monkeypatch.setattr(storage.versions, "entry", readings.entry)
    return readings


@pytest.fixture
def at_hand(storage: Storage) -> AtHand:
    return AtHand(storage.versions)


def asked(at_hand: AtHand, times: int = 1, name: str = "bolts") -> list[asyncio.Task[Stored]]:
    """Ask for a detector so many times at once."""
    return [asyncio.create_task(at_hand.get(name, None)) for _ in range(times)]


def promote(storage: Storage, version: int) -> None:
    storage.versions.promote("bolts", version, BY, allow_uncalibrated=True)


def test_one_reading_serves_all_who_wait(at_hand: AtHand, readings: Readings) -> None:
    """Law: it is read once, however many ask meanwhile; another version is another reading."""

    async def go() -> None:
        readings.go.clear()
        waiting = asked(at_hand, 20)
        await readings.seen()
        waiting += asked(at_hand, 20)
        first = asyncio.create_task(at_hand.get("bolts", 1))
        await readings.seen()  # by now all of them have asked
        readings.go.set()
        answers = await asyncio.gather(*waiting)
        assert {id(each) for each in answers} == {id(answers[0])}
        assert await at_hand.get("bolts", None) == answers[0]
        assert answers[0].detector.version == 2
        assert (await first).detector.version == 1
        assert readings.count == 2

    asyncio.run(go())


def test_a_reading_from_before_a_change_is_not_for_who_asks_later(
    storage: Storage, at_hand: AtHand, readings: Readings
) -> None:
    """Contract: whoever promotes and then scores is answered by what is in service now."""

    async def go() -> None:
        readings.go.clear()
        (early,) = asked(at_hand)
        await readings.seen()
        promote(storage, 1)
        (late,) = asked(at_hand)
        await readings.seen()
        readings.go.set()
        assert (await early).detector.version == 2
        assert (await late).detector.version == 1
        readings.go.clear()
        promote(storage, 2)
        (early,) = asked(at_hand)
        await readings.seen()
        promote(storage, 1)
        readings.go.set()
        assert (await early).detector.version == 2
        assert (await at_hand.get("bolts", None)).detector.version == 1

    asyncio.run(go())


def test_a_reading_that_takes_long_is_for_those_who_asked_early(
    tmp_path: Path, at_hand: AtHand, readings: Readings, clock: Seconds
) -> None:
    """Contract: what another process has changed is seen soon, though an older reading hangs."""

    async def go() -> None:
        readings.go.clear()
        (early,) = asked(at_hand)
        await readings.seen()
        with Place(tmp_path).opened() as other:
            promote(other, 1)
        clock.now_s += FRESH_S
        (late,) = asked(at_hand)
        await readings.seen()
        clock.now_s += 0.9 * FRESH_S
        readings.go.set()
        assert (await early).detector.version == 2
        assert (await late).detector.version == 1
        clock.now_s += 0.2 * FRESH_S  # its age is counted from when it began
        await at_hand.get("bolts", None)
        assert readings.count == 3

    asyncio.run(go())


def test_what_ages_is_read_again_and_nobody_waits(
    tmp_path: Path, at_hand: AtHand, readings: Readings, clock: Seconds
) -> None:
    """Law: what is asked for again and again is never older than allowed, and never waited for."""

    async def go() -> None:
        await at_hand.get("bolts", None)
        await readings.seen()
        clock.now_s = 0.99 * AGES_S
        await at_hand.get("bolts", None)
        assert not at_hand._reading
        clock.now_s = AGED_S
        with Place(tmp_path).opened() as other:
            promote(other, 1)
        readings.go.clear()
        for _ in range(20):
            assert (await at_hand.get("bolts", None)).detector.version == 2
        await readings.seen()
        assert (await at_hand.get("bolts", None)).detector.version == 2
        readings.go.set()
        await at_hand.stop()
        clock.now_s = AGED_S + 0.99 * AGES_S
        assert (await at_hand.get("bolts", None)).detector.version == 1
        assert readings.count == 2

    asyncio.run(go())


def test_a_failure_reaches_all_who_wait(at_hand: AtHand, readings: Readings) -> None:
    """Contract: each is told, and whoever asks later has it read again."""

    async def go() -> None:
        readings.go.clear()
        readings.error = StorageUnavailableError("away")
        waiting = asked(at_hand, 5)
        await readings.seen()
        readings.go.set()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in told] == 5 * [StorageUnavailableError]
        assert readings.count == 1
        readings.error = None
        assert (await at_hand.get("bolts", None)).detector.version == 2

    asyncio.run(go())


@pytest.mark.usefixtures("readings")
def test_what_there_is_not(at_hand: AtHand) -> None:
    """Contract: it is refused as reading refuses it, every time."""

    async def go() -> None:
        for _ in range(2):
            with pytest.raises(UnknownDetectorError):
                await at_hand.get("washers", None)
            with pytest.raises(UnknownVersionError):
                await at_hand.get("bolts", 9)

    asyncio.run(go())


def test_a_failure_that_nobody_waits_for_is_silent(
    at_hand: AtHand, readings: Readings, clock: Seconds
) -> None:
    """Contract: what was read serves on, and is read by the next one who asks."""
    told: list[dict[str, Any]] = []

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        first = await at_hand.get("bolts", None)
        clock.now_s = AGED_S
        readings.error = StorageUnavailableError("away")
        assert await at_hand.get("bolts", None) == first
        while at_hand._reading:
            await asyncio.sleep(0)
        gc.collect()  # what failed unheard says so when it goes
        readings.error = None
        assert await at_hand.get("bolts", None) == first
        await at_hand.stop()
        clock.now_s += 0.99 * AGES_S
        assert await at_hand.get("bolts", None) == first
        assert readings.count == 3

    asyncio.run(go())
    assert told == []


def test_who_goes_away_does_not_take_the_reading_along(at_hand: AtHand, readings: Readings) -> None:
    """Contract: the others are answered by it, and so is who asks later."""

    async def go() -> None:
        readings.go.clear()
        gone, stays = asked(at_hand, 2)
        (alone,) = asked(at_hand, name="nuts")
        await readings.seen()
        await readings.seen()
        for each in (gone, alone):
            each.cancel()
            with pytest.raises(asyncio.CancelledError):
                await each
        readings.go.set()
        assert (await stays).detector.version == 2
        await at_hand.stop()
        assert (await at_hand.get("nuts", None)).entry.name == "nuts"
        assert readings.count == 2

    asyncio.run(go())


def test_a_reading_that_is_cancelled_itself(at_hand: AtHand, readings: Readings) -> None:
    """Contract: a loop that closes cancels all there is, and nothing is said of it."""
    told: list[dict[str, Any]] = []

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        readings.go.clear()
        (waits,) = asked(at_hand)
        await readings.seen()
        for task in at_hand._reading.values():
            task.cancel()
        readings.go.set()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert (await at_hand.get("bolts", None)).detector.version == 2

    asyncio.run(go())
    assert told == []


def test_many_looked_up_are_not_read_alone_right_after(
    storage: Storage, at_hand: AtHand, readings: Readings, clock: Seconds
) -> None:
    """Law: however old each was, it is not read again while all are used in turn."""

    async def go() -> None:
        for name in NAMES:
            await at_hand.get(name, None)
        for tenths in range(1, 20):
            clock.now_s += 0.1 * AGES_S
            if tenths % 7 == 0:
                promote(storage, 1 + tenths % 2)
            await at_hand.look_up(NAMES)
            clock.now_s += 0.4 * AGES_S
            assert {(await at_hand.get(name, None)).entry.name for name in NAMES} == {*NAMES}
        await at_hand.stop()
        assert readings.count == len(NAMES)

    asyncio.run(go())


def test_many_are_looked_up_once_for_all_who_ask(
    storage: Storage, at_hand: AtHand, monkeypatch: pytest.MonkeyPatch, clock: Seconds
) -> None:
    """Contract: and soon after nobody waits for the database, or for a thread."""
    looked: list[tuple[str, ...]] = []
    refresh = storage.versions.refresh
    monkeypatch.setattr(storage.versions, "refresh", lambda n: [refresh(n), looked.append(n)])

    async def go() -> None:
        await asyncio.gather(*(at_hand.look_up([*NAMES]) for _ in range(20)))
        clock.now_s = 0.49 * AGES_S
        await at_hand.look_up(NAMES)
        assert looked == [NAMES]
        clock.now_s = 0.51 * AGES_S
        await at_hand.look_up(NAMES)
        assert looked == [NAMES] * 2

    asyncio.run(go())
