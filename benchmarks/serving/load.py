"""The load generator: prebuilt requests over kept-alive connections, in a process of its own.

    python -m benchmarks.serving.load < PLAN.json > MEASURED.json

Closed loop: so many clients, each of whom asks again when it was answered; one that was refused
waits a little. Open loop: requests fall due at random (Poisson) whatever becomes of those before
them, and latency counts from when one was due, so that a slow server hides nothing. After an open
loop one client goes on asking until all are answered, for the time it takes to recover.
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.serving import machine

ROOT = Path(__file__).resolve().parents[2]
TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
MOST_CONNECTIONS = 6000
"""Open at the same time; a request for which there is none is not sent, and counts as broken."""
PATIENCE_S = 120.0
"""How long an answer is waited for."""
REFUSED_PAUSE_S, PROBE_PAUSE_S = 0.05, 0.02
CALM_S = 2.0
"""How long is asked on after the last answer of an open loop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, and how; ``clients`` makes a closed loop, ``rate`` (a second) an open one."""

    port: int
    path: str
    pictures: list[str]
    """Files, sent in turn as raw bodies."""
    seconds: float
    clients: int = 0
    rate: float = 0.0
    seed: int = 0
    pid: int = 0
    """Of the server, whose processor time is looked at; 0: of none."""


class Sample(NamedTuple):
    """One request; times in seconds, the first from the beginning of the load."""

    due_s: float
    took_s: float
    status: int
    """Of HTTP; 0 if there was no answer."""
    has_retry_after: bool

    @property
    def done_s(self) -> float:
        """When it was answered."""
        return self.due_s + self.took_s


@dataclass(slots=True)
class Measured:
    """What was seen: of the load, of the client who asks after it, of generator and machine."""

    samples: list[Sample] = field(default_factory=list)
    after: list[Sample] = field(default_factory=list)
    connections: int = 0
    """The most that were open at the same time."""
    cpu_s: float = 0.0
    """Of the generator itself."""
    server_s: float = 0.0
    """Of the server, if the plan names its process."""
    busy_s: float = 0.0
    """Of all cores, and all processes of this machine."""
    stolen_s: float = 0.0
    wall_s: float = 0.0


def requests(plan: Plan) -> list[bytes]:
    """Return the bytes of every request of a plan."""
    made = []
    for picture in map(Path, plan.pictures):
        body = picture.read_bytes()
        head = (
            f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: {TYPES[picture.suffix]}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class Connection:
    """A connection that asks one thing at a time, and opens again if it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """Return the status, and whether the answer says when to come again; (0, False): none."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask(request)
        except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
            return 0, False

    async def _ask(self, request: bytes) -> tuple[int, bool]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server has: nobody has asked on it for as long as it keeps it
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)  # no drain: a server that refuses may not read all of it
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), b"\r\nretry-after:" in head

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None


async def closed(plan: Plan) -> Measured:
    """Run a closed loop."""
    measured, todo = Measured(), _Turns(requests(plan))
    start_s = time.perf_counter()

    async def client() -> None:
        connection = Connection(plan.port)
        while (due_s := time.perf_counter() - start_s) < plan.seconds:
            status, has_retry_after = await connection.ask(todo.next())
            took_s = time.perf_counter() - start_s - due_s
            measured.samples.append(Sample(due_s, took_s, status, has_retry_after))
            if status != 200:
                await asyncio.sleep(REFUSED_PAUSE_S)
        connection.close()

    await asyncio.gather(*(client() for _ in range(plan.clients)))
    measured.connections = plan.clients
    return measured


async def opened(plan: Plan) -> Measured:
    """Run an open loop, and ask on until it is over."""
    measured, todo, rng = Measured(), _Turns(requests(plan)), random.Random(plan.seed)
    free: list[Connection] = []
    under_way: set[asyncio.Task[None]] = set()
    start_s = time.perf_counter()

    async def one(due_s: float) -> None:
        connection = free.pop() if free else Connection(plan.port)
        status, has_retry_after = await connection.ask(todo.next())
        took_s = time.perf_counter() - start_s - due_s
        measured.samples.append(Sample(due_s, took_s, status, has_retry_after))
        free.append(connection)

    due_s = rng.expovariate(plan.rate)
    while due_s < plan.seconds:
        await asyncio.sleep(start_s + due_s - time.perf_counter())
        if len(under_way) < MOST_CONNECTIONS:
            task = asyncio.create_task(one(due_s))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        else:
            measured.samples.append(Sample(due_s, 0.0, 0, False))
        due_s += rng.expovariate(plan.rate)
    probe, last_s = Connection(plan.port), time.perf_counter()
    while under_way or time.perf_counter() < last_s + CALM_S:
        if under_way:
            last_s = time.perf_counter()
        begun_s = time.perf_counter() - start_s
        status, has_retry_after = await probe.ask(todo.next())
        took_s = time.perf_counter() - start_s - begun_s
        measured.after.append(Sample(begun_s, took_s, status, has_retry_after))
        await asyncio.sleep(PROBE_PAUSE_S)
    measured.connections = 1 + len(free)
    for connection in (probe, *free):
        connection.close()
    return measured


class _Turns:
    """Requests, one after the other, from the beginning again after the last."""

    def __init__(self, made: list[bytes]) -> None:
        self._made, self._place = made, 0

    def next(self) -> bytes:
        self._place += 1
        return self._made[self._place % len(self._made)]


async def run(plan: Plan) -> Measured:
    """Run a plan in this process."""
    how: Callable[[Plan], Awaitable[Measured]] = closed if plan.clients else opened
    wall_s, cpu_s, before = time.perf_counter(), time.process_time(), machine.used()
    server_s = machine.taken_s(plan.pid) if plan.pid else 0.0
    measured = await how(plan)
    measured.wall_s = time.perf_counter() - wall_s
    measured.cpu_s = time.process_time() - cpu_s
    measured.server_s = machine.taken_s(plan.pid) - server_s if plan.pid else 0.0
    after = machine.used()
    measured.busy_s = after.busy_s - before.busy_s
    measured.stolen_s = after.stolen_s - before.stolen_s
    return measured


def generate(plan: Plan) -> Measured:
    """Run a plan in a process of its own, and return what it saw."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.load"],
        cwd=ROOT,
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    for part in ("samples", "after"):
        found[part] = [Sample(*sample) for sample in found[part]]
    return Measured(**found)


def main() -> None:
    """Read a plan, run it, write what was measured."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    import uvloop  # here: nobody else needs it, and it halves what a request costs the generator

    plan = Plan(**json.load(sys.stdin))
    json.dump(asdict(uvloop.run(run(plan))), sys.stdout)


if __name__ == "__main__":
    main()
