"""A Ray cluster of this machine for fits, the drivers that use it, and what processes it is of."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_server import environment

from app.bulk.plan import HoldOut

HOLD = HoldOut(share=0.3, most=20, seed=4)
DRIVER = Path(__file__).with_name("ray_fit_driver.py")
ROOT = Path(__file__).parents[3]
WAIT_S = 120
COUNTED = "counted "


def counts(said: str) -> list[int]:
    """Return how many images were counted, of what a driver has said; not what Ray says between."""
    lines = (line for line in said.splitlines() if line.startswith(COUNTED))
    return [int(line.removeprefix(COUNTED)) for line in lines]


@dataclass
class Cluster:
    """A cluster of this machine's, and drivers that use it."""

    process: subprocess.Popen[str]
    address: str
    folder: Path

    @contextmanager
    def driver(self, kept: Path, sources: list[Path], **asked: Any) -> Iterator["Driver"]:
        asked |= {
            "address": self.address,
            "kept": str(kept),
            "sources": list(map(str, sources)),
            "hold_out": {"share": HOLD.share, "most": HOLD.most, "seed": HOLD.seed},
            "data": str(self.folder),
        }
        command = [sys.executable, str(DRIVER), json.dumps(asked)]
        log = (self.folder / "driver.log").open("ab")
        with (
            log,
            subprocess.Popen(
                command, env=fit_environment(), stdout=subprocess.PIPE, stderr=log, text=True
            ) as process,
        ):
            try:
                yield Driver(process, self.folder / "driver.log")
            finally:
                process.kill()

    def embedding(self) -> list[int]:
        """Return the processes that embed."""
        raylets = [pid for pid in _processes() if _parent(pid) == self.process.pid]
        return [
            pid for pid in _processes() if _parent(pid) in raylets and "(Embed)" in _command(pid)
        ]


@dataclass
class Driver:
    """A driver that runs."""

    process: subprocess.Popen[str]
    log: Path

    def counted(self) -> int:
        """Return how many images were counted since this was asked; wait for some."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith(COUNTED):  # else it is Ray's, of who was killed
                return int(line.removeprefix(COUNTED))
        raise AssertionError(self.log.read_text())

    def first(self) -> int:
        """Return how many images were counted when the first was."""
        counted = self.counted()
        return counted + self.counted()

    def ended(self, code: int = 0) -> str:
        """Return the rest of what it said, once it has ended."""
        said, _ = self.process.communicate(timeout=WAIT_S)
        assert self.process.returncode == code, said + self.log.read_text()
        return said


@contextmanager
def ray_fit_cluster(folder: Path) -> Iterator[Cluster]:
    """Run a real cluster, of three actors on however few cores."""
    with (folder / "cluster.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(DRIVER), "serve"],
            env=fit_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    assert process.stdin is not None
    address = process.stdout.readline().strip()
    assert address, (folder / "cluster.log").read_text()
    try:
        yield Cluster(process, address, folder)
    finally:
        process.stdin.close()
        process.wait(WAIT_S)
        process.stdout.close()


def fit_environment() -> dict[str, str]:
    """Return the variables of all processes of the cluster, and of those that use it."""
    return environment(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN="of-these-tests-and-of-nobody-else-0123456789",
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS="1",
    )


def until_gone(pid: int) -> None:
    """Wait until a process is no more."""
    deadline = time.monotonic() + WAIT_S
    while _command(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _command(pid: int) -> str:
    """Return a process' command line; nothing of one that has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
