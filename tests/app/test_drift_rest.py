"""How long notes gather: a second, and longer where many detectors make rounds long."""

import asyncio
import threading
import time
from typing import Any

import pytest
from history_helpers import Line
from watch_helpers import parts

from app.monitoring import watch
from app.monitoring.writer import Writer
from app.within import within


def test_rounds_leave_most_of_the_time_to_others(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: four times what the last one took, but some seconds at most."""
    rests: list[float] = []

    async def hurried(seconds: float, event: asyncio.Event) -> bool:
        if event is bolts.service.drift._many:
            rests.append(seconds)
        return await within(min(seconds, 0.01), event)

    def long_round(self: Writer, *arguments: Any) -> None:
        time.sleep(took_s)
        real(self, *arguments)

    real, took_s = Writer.round, 0.3
    monkeypatch.setattr(Writer, "round", long_round)
    monkeypatch.setattr(watch, "within", hurried)

    def rest_after(wanted_s: float) -> float:
        nonlocal took_s
        took_s = wanted_s
        for _ in range(3):  # one round may have begun before
            seen = len(rests)
            bolts.score(parts(5000, 1))
            deadline = time.monotonic() + 60
            while len(rests) == seen:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            bolts.call(bolts.service.drift.flush)
        return rests[-1] + watch.GATHER_S

    assert watch.REST * 0.3 <= rest_after(0.3) <= watch.LONGEST_S
    assert rest_after(0.8) == watch.LONGEST_S


def test_many_that_wait_end_the_rest(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: half of those that may have squeezes, so that none of them does without."""
    monkeypatch.setattr(watch, "GATHER_S", 60.0)
    monkeypatch.setattr(watch, "SQUEEZED_IMAGES", 40)
    many = bolts.service.drift._many
    bolts.score(parts(5000, 19))
    assert not many.is_set()
    bolts.score(parts(5100, 1))
    assert many.is_set()
    assert bolts.get("/drift")["images"] == 20  # with all that was scored up to now
    assert not many.is_set()


def test_who_only_takes_what_others_wrote_rests_too(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: without a note of its own, a long round is followed by a long rest."""
    rests: list[float] = []
    seen = threading.Event()

    async def hurried(seconds: float, event: asyncio.Event) -> bool:
        if event is bolts.service.drift._many:
            rests.append(seconds)
            if len(rests) > 2:
                seen.set()
        return await within(min(seconds, 0.01), event)

    def long_round(self: Writer, *arguments: Any) -> None:
        time.sleep(0.3)
        real(self, *arguments)

    real = Writer.round
    monkeypatch.setattr(Writer, "round", long_round)
    monkeypatch.setattr(watch, "within", hurried)
    assert seen.wait(60)
    assert rests[-1] + watch.GATHER_S >= watch.REST * 0.3
