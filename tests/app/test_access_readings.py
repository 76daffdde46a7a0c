"""How often keys are read to know who asks: seldom, together, and at once for a new one."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from key_helpers import BY, Clock, opened

from app.access import identity
from app.access.credentials import Role, invent
from app.errors import KeyRefusedError, KeyRequiredError
from app.storage.database import Database
from app.storage.keys import Keys


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


class Counted(Keys):
    """Keys that count how often they are read, and may be held up or out of reach."""

    readings = 0
    error: Exception | None = None

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.gate = threading.Event()
        self.gate.set()

    def snapshot(self) -> Any:
        self.readings += 1
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()  # a reading would hold up every request
        assert self.gate.wait(30)
        if self.error:
            raise self.error
        return super().snapshot()


@pytest.fixture
def counted(database: Database) -> Counted:
    return Counted(database)


def headers(text: str) -> Any:
    return Request({"type": "http", "headers": [(b"x-api-key", text.encode())]}).headers


def test_keys_are_read_once_a_second_at_most(counted: Counted) -> None:
    """Contract: a revoked key ends within a second, and no request reads the database in it."""
    root, made = (counted.create(BY, name, Role.ADMIN) for name in ("root", "one"))
    clock = Clock()

    async def run() -> None:
        guard = identity.Access(counted, "nobody", clock=clock)
        for _ in range(50):
            assert (await guard.identify(headers(made.text))).name == "one"
        assert counted.readings == 1
        counted.revoke(BY, made.key.id)
        clock.s += 0.999
        await guard.identify(headers(made.text))
        assert counted.readings == 1
        clock.s += 0.002
        with pytest.raises(KeyRefusedError):
            await guard.identify(headers(made.text))
        assert (await guard.identify(headers(root.text))).name == "root"

    asyncio.run(run())


def test_a_new_key_opens_at_once(counted: Counted) -> None:
    """Contract: an id not seen yet is looked for anew, without waiting for the second to end."""
    counted.create(BY, "root", Role.ADMIN)

    async def run() -> None:
        guard = identity.Access(counted, "nobody")
        with pytest.raises(KeyRequiredError):
            await guard.identify(Request({"type": "http", "headers": []}).headers)
        for number in range(3):
            text = counted.create(BY, f"new-{number}", Role.SCORE).text
            assert (await guard.identify(headers(text))).name == f"new-{number}"

    asyncio.run(run())


def test_invented_ids_share_few_readings(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: all that come together share one reading, which keeps its distance from the last.

    What is no key's form reads nothing.
    """
    root = counted.create(BY, "root", Role.ADMIN)
    clock = Clock()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(round(seconds, 6))

    async def run() -> None:
        guard = identity.Access(counted, "nobody", clock=clock)
        await guard.identify(headers(root.text))
        monkeypatch.setattr(asyncio, "sleep", pause)
        for batch in range(3):
            clock.s += 0.01
            tries = (guard.identify(headers(invent()[1])) for _ in range(100))
            for outcome in await asyncio.gather(*tries, return_exceptions=True):
                assert isinstance(outcome, KeyRefusedError)
            assert counted.readings == 2 + batch
        assert pauses == [identity.PAUSE_S - 0.01] * 3
        for text in ("nonsense", "", "gw_0123", root.text[:-1]):
            with pytest.raises(KeyRefusedError):
                await guard.identify(headers(text))
        assert counted.readings == 4

    asyncio.run(run())


def test_who_waits_together_reads_together(counted: Counted) -> None:
    """Law: one reading for all, of which one may go away meanwhile; a failure is everybody's."""
    text = counted.create(BY, "root", Role.ADMIN).text

    async def together(guard: identity.Access) -> list[Any]:
        """Let twenty wait for one reading, and the first of them go away."""
        before = counted.readings
        counted.gate.clear()
        tasks = [asyncio.create_task(guard.identify(headers(text))) for _ in range(20)]
        while counted.readings == before:
            await asyncio.sleep(0.001)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        counted.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert counted.readings == before + 1
        return outcomes[1:]

    async def run() -> None:
        guard = identity.Access(counted, "nobody")
        assert [one.name for one in await together(guard)] == ["root"] * 19
        guard = identity.Access(counted, "nobody")
        counted.error = KeyError("lost")
        assert [type(one) for one in await together(guard)] == [KeyError] * 19
        counted.error = None
        assert (await guard.identify(headers(text))).name == "root"

    asyncio.run(run())
