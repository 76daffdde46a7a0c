"""What others take of the cores while the doctor measures."""

import os
import threading
import time
from pathlib import Path

import pytest

from app.doctor import others
from app.doctor.others import Used, Watch

LINES = (
    "cpu  100 20 30 9999 888 1 2 50 77 66\ncpu0 1 1 1 1 1 1 1 1 1 1\ncpu10 9 0 0 0 0 0 0 3 0 0\n"
)


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of two cores, 0 and 10, whose ticks are hundredths of a second."""
    file = tmp_path / "stat"
    file.write_text(LINES)
    monkeypatch.setattr(others, "STAT", file)
    monkeypatch.setattr(others, "TICKS_A_SECOND", 100)
    return file


@pytest.mark.usefixtures("stat")
def test_the_machine_is_read_from_proc_stat() -> None:
    """Reference: neither idle time nor waiting for disks is work; guests are counted in user."""
    assert others.used() == pytest.approx((1.53, 0.5))
    assert others.used({0}) == pytest.approx((0.05, 0.01))
    assert others.used({0, 10, 99}) == pytest.approx((0.14, 0.04))


def test_shares_of_two_cores_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reference: 3 s used and 1 s stolen of 2 cores x 4 s, 2 s of them ours: others took 2 of 8."""
    wall_s, ours_s = iter([10.0, 14.0, 16.0, 26.0]), iter([1.0, 3.0, 7.0, 7.0])
    counted = iter([Used(100, 5), Used(103, 6), Used(106, 6), Used(206, 6)])
    monkeypatch.setattr(time, "perf_counter", lambda: next(wall_s))
    monkeypatch.setattr(os, "times", lambda: (next(ours_s), 0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(others, "used", lambda _cores: next(counted))
    watch = Watch({0, 1})
    watch._step = "first"
    watch.begin("second")
    watch.begin("third")
    watch.end()
    # Counted in ticks, ours may be a little more than all; nobody has more cores than there are.
    assert watch.shares == {"first": 0.25, "second": 0.0, "third": 1.0}


def test_nothing_is_known_where_nobody_counts(stat: Path) -> None:
    """Contract: not 0, where counts stand still, as in some sandboxes, or where there are none."""
    for _ in range(2):
        watch = Watch({0})
        for step in ("one", "two"):
            watch.begin(step)
        watch.end()
        assert watch.shares == {}
        stat.unlink(missing_ok=True)


@pytest.mark.skipif(not others.STAT.exists(), reason="no /proc/stat")
def test_our_own_work_is_nobody_elses() -> None:
    """Law: work of this process, on whatever thread, is not counted as that of others."""
    watch = Watch(cores := os.sched_getaffinity(0))
    began = others.used(cores), sum(os.times()[:4])
    watch.begin("work")
    ends_s = time.perf_counter() + 0.5

    def work() -> None:
        while time.perf_counter() < ends_s:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    work()
    thread.join()
    watch.end()
    all_s, ours_s = sum(others.used(cores)) - sum(began[0]), sum(os.times()[:4]) - began[1]
    assert watch.shares["work"] <= max(all_s - ours_s, 0) / (0.5 * len(cores)) + 0.5 / len(cores)
