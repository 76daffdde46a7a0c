"""How long notes gather: a second, and longer where many detectors make rounds long."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from history_helpers import Line
from watch_helpers import parts

from app.monitoring import watch
from app.monitoring.writer import Writer
from app.scoring.judging import Seen
from app.within import within


def test_rounds_leave_most_of_the_time_to_others(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: four times what the last one took, but four seconds at most; unless many wait."""
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
    assert rest_after(1.1) == watch.LONGEST_S


def seen(bolts: Line, squeeze: np.ndarray | None) -> Seen:
    """Return what scoring one picture has to note, with a squeeze of ours."""
    found: list[Seen] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(watch.Watch, "note", lambda _, one: found.append(one))
        bolts.score(parts(5000, 1))
    return replace(found[0], squeeze=squeeze)


def test_many_that_wait_end_the_rest(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: half of what there is room for, of images or of squeezes, which several share."""
    monkeypatch.setattr(watch, "GATHER_S", 60.0)
    monkeypatch.setattr(watch, "WAITING_IMAGES", 40)
    monkeypatch.setattr(watch, "SQUEEZED_IMAGES", 4)
    drift, shared = bolts.service.drift, np.zeros((1, 6), np.float32)
    plain, squeezed = seen(bolts, None), seen(bolts, shared)

    async def noted(*some: Seen) -> tuple[bool, list[bool]]:
        for each in some:
            drift.note(each)
        waiting = [note.squeeze is not None for note in drift._waiting]
        enough = drift._many.is_set()
        drift._waiting.clear()
        drift._images = drift._squeezed = 0
        drift._many.clear()
        return enough, waiting

    assert bolts.call(lambda: noted(*[plain] * 19)) == (False, [False] * 19)
    assert bolts.call(lambda: noted(*[plain] * 20))[0]
    assert bolts.call(lambda: noted(*[squeezed] * 10)) == (False, [True] * 10)
    others = [replace(squeezed, squeeze=shared.copy()) for _ in range(6)]
    assert bolts.call(lambda: noted(*others)) == (True, [True] * 4 + [False] * 2)
