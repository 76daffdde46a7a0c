"""Threads' policies, as the system has them."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from real_server import STUB, Server

from app import serving
from app.priority import NICE, give_way, interrupt_nobody

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems schedule otherwise")


def of_a_thread(*calls: Callable[[], None]) -> tuple[int, int]:
    """Return policy and niceness of a thread that has made these calls."""
    found: list[tuple[int, int]] = []

    def work() -> None:
        for call in calls:
            call()
        found.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def test_threads_change_their_own_alone() -> None:
    usual = os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0)
    assert of_a_thread(give_way) == (os.SCHED_OTHER, NICE)
    assert of_a_thread(interrupt_nobody) == (os.SCHED_BATCH, usual[1])
    assert of_a_thread(give_way, interrupt_nobody) == (os.SCHED_BATCH, NICE)
    assert of_a_thread() == usual


def test_what_an_operator_chose_stays() -> None:
    def idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    assert of_a_thread(idle, interrupt_nobody)[0] == os.SCHED_IDLE


def test_where_it_is_forbidden_it_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    assert of_a_thread(interrupt_nobody)[0] == os.SCHED_OTHER


def test_the_threads_of_a_server_interrupt_nobody(tmp_path: Path) -> None:
    """Contract: of a real process, the event loop's and those that embed, write and decode."""
    with Server(tmp_path / "data", command=STUB).serving() as server:
        policies = {}
        for task in Path(f"/proc/{server.process.pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # threads end, too
                policies[int(task.name)] = os.sched_getscheduler(int(task.name))
    assert policies.pop(server.process.pid) == os.SCHED_BATCH
    assert list(policies.values()).count(os.SCHED_BATCH) > 2


def test_who_serves_suits_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: nobody is interrupted, and the interpreter is let go of soon."""
    made: list[object] = []
    monkeypatch.setattr(serving, "interrupt_nobody", lambda: made.append("interrupt_nobody"))
    monkeypatch.setattr(sys, "setswitchinterval", made.append)
    serving.suit_threads()
    assert made == [serving.SWITCH_S, "interrupt_nobody"]
    assert sys.getswitchinterval() > serving.SWITCH_S
