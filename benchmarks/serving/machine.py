"""What the machine and its processes do, by /proc (Linux): a noisy neighbour is seen here."""

import os
from pathlib import Path
from typing import NamedTuple

STAT = Path("/proc/stat")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Used(NamedTuple):
    """Processor seconds of all cores since the machine was started."""

    busy_s: float
    """Of every process."""
    stolen_s: float
    """Wanted by this machine, taken by others on the same host."""


def used() -> Used:
    """Return what was used until now."""
    line = STAT.read_text().splitlines()[0]
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return Used((user + nice + system + irq + softirq) / TICKS_A_SECOND, steal / TICKS_A_SECOND)


def taken_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
