"""Configurations at saturation, each on cores of its own: images a second, and what each takes.

A real server on a real PostgreSQL, its files in a folder; the generator, the database and the rest
have the other core. Processor time is read from /proc (Linux), so that what else the machine does
is in the throughput only.
"""

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.scaling.costs import SERVER, Measured, Work
from benchmarks.serving import scene
from benchmarks.serving.figures import summary
from benchmarks.serving.load import ROOT, Plan, generate
from benchmarks.serving.machine import TICKS_A_SECOND
from benchmarks.serving.processes import Server, gatewatch
from detector.embedder import Embedder
from detector.spec import DEFAULT_IMAGE_SIZE

CLIENTS = 8
SETTLE_S = 3.0
"""How long a server has to write what it was asked for."""
PASSES = 40
STATIONS = (SERVER, "database_s", "log_bytes", "blob_bytes", "puts")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked of how many servers, each on one core."""

    name: str
    work: Work
    servers: int = 1


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Let this thread, and what it starts meanwhile, run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Database:
    """The PostgreSQL at work: where it is, and what it has done."""

    address: str
    url: str

    def cpu_s(self) -> float:
        """Return the processor time of all its processes, those that have ended too."""
        with psycopg.connect(self.address) as connection:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            parent = int(_stat(row[0])[1])
        return sum(_cpu_s(pid) for pid in [parent, *_children(parent)])

    def log_bytes(self) -> float:
        """Return how far its write-ahead log has come."""
        with psycopg.connect(self.address) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        return float(row[0])


@contextmanager
def database() -> Iterator[Database]:
    """Run the PostgreSQL that tests run, and give a database of it."""
    script = ROOT / "tests" / "app" / "postgres_server.py"
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        name = f"scaling_{uuid.uuid4().hex}"
        place = f"host={folder} port=5432 user=postgres"
        with psycopg.connect(f"{place} dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = f"postgresql+psycopg://postgres@/{name}?host={folder}&port=5432"
        try:
            yield Database(f"{place} dbname={name}", url)
        finally:
            process.stdin.close()


class Bench:
    """Servers on one database and one folder, started anew for every measurement."""

    def __init__(self, folder: Path, kept: Database, pictures: Mapping[float, list[str]]) -> None:
        self._folder, self._database, self._pictures = folder, kept, pictures

    def measured(self, chosen: Configuration, seconds: float) -> Measured:
        """Return what a configuration does for so many seconds."""
        work = chosen.work
        detectors = ",".join(_names(work.detectors))
        sent = self._pictures[work.megapixels]
        with ExitStack() as stack:
            servers = []
            for core in range(chosen.servers):
                with pinned({core}):
                    server = stack.enter_context(self.server(kept=work.kept))
                scene.wait_for_engine(server)
                servers.append(server)
            plans = [
                Plan(each.port, f"/v1/score?detectors={detectors}", sent, seconds, clients=CLIENTS)
                for each in servers
            ]
            rest = {1} if chosen.servers == 1 else {0, 1}
            with pinned(rest), ThreadPoolExecutor(len(plans)) as pool:
                [*pool.map(generate, [_shortened(plan) for plan in plans])]
                before = self._taken(servers)
                loads = [*pool.map(generate, plans)]
                time.sleep(SETTLE_S)
                after = self._taken(servers)
            images = sum(sum(s.status == 200 for s in load.samples) for load in loads)
            found = [summary(load, seconds) for load in loads]
            broken = sum(each.broken for each in found)
            if broken or not images:
                raise RuntimeError(f"{chosen.name}: {broken} requests were not answered")
            others = sum(each.generator_cores for each in found)
            others += (after["database_s"] - before["database_s"]) / seconds
        return Measured(
            work,
            chosen.servers - (others if chosen.servers > 1 else 0.0),
            sum(each.served_per_s for each in found),
            {name: (after[name] - before[name]) / images for name in STATIONS},
        )

    @contextmanager
    def server(self, *, kept: bool = True) -> Iterator[Server]:
        """Run a server."""
        how = {"database": self._database.url, "cached_detectors": "64"}
        how |= {} if kept else {"history_bytes": "0"}
        with gatewatch(self._folder, **how) as server:
            yield server

    def _taken(self, servers: Sequence[Server]) -> dict[str, float]:
        blobs = (self._folder / "data" / "blobs").rglob("*")
        files = [path.stat().st_size for path in blobs if path.is_file()]
        return {
            SERVER: sum(each.cpu_s() for each in servers),
            "database_s": self._database.cpu_s(),
            "log_bytes": self._database.log_bytes(),
            "blob_bytes": float(sum(files)),
            "puts": float(len(files)),
        }


def medians(rounds: Sequence[Measured]) -> Measured:
    """Return the median of each figure of several rounds of one configuration."""
    first = rounds[0]
    return Measured(
        first.work,
        first.cores,
        statistics.median(each.images_per_s for each in rounds),
        {name: statistics.median(each.demands[name] for each in rounds) for name in STATIONS},
    )


def engine_s(cache: Path) -> float:
    """Return the seconds of one pass of the engine on one core."""
    import numpy as np

    with pinned({0}):
        embedder = Embedder.load(device="cpu", engine="auto", cache=cache, threads=1)
        embedder.warm(DEFAULT_IMAGE_SIZE, wait=True)
        rng = np.random.default_rng(0)
        side = DEFAULT_IMAGE_SIZE
        picture = [rng.integers(0, 255, (3, side, side), np.uint8)]
        return _median_s(lambda: embedder.embed(picture))


def _median_s(call: Callable[[], object]) -> float:
    took_s = []
    for _ in range(PASSES):
        begun_s = time.perf_counter()
        call()
        took_s.append(time.perf_counter() - begun_s)
    return statistics.median(took_s)


def _names(count: int) -> list[str]:
    return [f"scaling-{number}" for number in range(count)]


def learn(server: Server, chosen: scene.Pictures, count: int) -> None:
    """Make as many detectors, copies of one, by export and import."""
    first, *others = _names(count)
    scene.learn(server, first, chosen)
    scene.wait_for_engine(server)
    exported = server.client.http.get(f"/v1/detectors/{first}/export")
    exported.raise_for_status()
    for name in others:
        server.client.request(
            "POST",
            "/v1/import",
            params={"name": name},
            content=exported.content,
            headers={"Content-Type": "application/zip"},
        )


def _shortened(plan: Plan) -> Plan:
    """Return the load that warms a server up, which reads its detectors meanwhile."""
    return Plan(plan.port, plan.path, plan.pictures, 2.0, clients=plan.clients)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process and of those that it has waited for."""
    try:
        return sum(map(int, _stat(pid)[11:15])) / TICKS_A_SECOND
    except OSError:
        return 0.0  # it has just ended, and is its parent's to count


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(_stat(int(entry.name))[1]) == parent:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
