"""What the machine and its processes do, by /proc (Linux): a noisy neighbour is seen here."""

from pathlib import Path

from app.doctor.others import TICKS_A_SECOND as TICKS_A_SECOND
from app.doctor.others import used as used


def taken_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
