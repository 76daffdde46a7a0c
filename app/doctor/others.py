"""What others take of the cores while the doctor measures, by /proc/stat (Linux).

With b the processor seconds in which the c cores that this process may run on were busy or stolen
by others on the same host within w seconds, and o those that this process took itself::

    share = (b - o) / (c w)
"""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

STAT = Path("/proc/stat")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
BUSY = 0.2
"""From this share on what was measured says more of the others than of the machine."""


class Used(NamedTuple):
    """Processor seconds since the machine was started."""

    busy_s: float
    """Of every process."""
    stolen_s: float
    """Wanted by this machine, taken by others on the same host."""


class _Moment(NamedTuple):
    at_s: float
    ours_s: float
    used: Used


class Watch:
    """Looks at the cores from the beginning of a step to that of the next."""

    def __init__(self, cores: Collection[int]) -> None:
        self.shares: dict[str, float] = {}
        """What others took in each step that has ended; empty where nobody counts it."""
        self._cores = cores
        self._step = ""
        self._since = self._now()

    def begin(self, step: str) -> None:
        """Note that the step before has ended, if there was one, and that this one begins."""
        now = self._now()
        if self._step and self._since and now:
            ours_s = now.ours_s - self._since.ours_s
            all_s = sum(now.used) - sum(self._since.used)
            whole_s = len(self._cores) * (now.at_s - self._since.at_s)
            if all_s > 0 and whole_s > 0:  # some sandboxes count nothing
                self.shares[self._step] = min(max((all_s - ours_s) / whole_s, 0.0), 1.0)
        self._step, self._since = step, now

    def end(self) -> None:
        """Note that the last step has ended."""
        self.begin("")

    def _now(self) -> _Moment | None:
        try:
            counted = used(self._cores)
        except OSError:  # not Linux
            return None
        ours_s = sum(os.times()[:4])  # with those it started and waited for
        return _Moment(time.perf_counter(), ours_s, counted)


def used(cores: Collection[int] | None = None) -> Used:
    """Return what was used until now of some cores, by their numbers, or of all.

    Raises:
        OSError: if nobody counts it here.
    """
    named = {"cpu"} if cores is None else {f"cpu{core}" for core in cores}
    busy = stolen = 0
    for line in STAT.read_text().splitlines():
        name, *counts = line.split()
        if name in named:
            user, nice, system, _, _, irq, softirq, steal = map(int, counts[:8])
            busy += user + nice + system + irq + softirq
            stolen += steal
    return Used(busy / TICKS_A_SECOND, stolen / TICKS_A_SECOND)
