"""The measurements of one round, in the order in which they take turns."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.serving import peers, scene, stages
from benchmarks.serving.figures import Figures, Summary, as_figures, recovery_s, summary
from benchmarks.serving.load import Measured, Plan, generate
from benchmarks.serving.processes import Server
from demo.service import Upload

CLIENTS = (1, 8, 64)
SHARES = (0.5, 0.8, 1.0, 2.0, 10.0)
CALM = 4
"""A service has recovered when it serves within so many times its idle latency."""
PARTS = ("stages", "closed", "peers", "open", "fit", "many")
"""Of a run, as ``--only`` names them; the last is measured once."""
OF_CAPACITY = ("open", "fit")
"""Parts whose loads are shares of a capacity, which closed loops find."""
T = TypeVar("T")


def steps(parts: Collection[str], peer_count: int) -> int:
    """Return how many measurements a round has."""
    lengths = {
        "stages": 1,
        "closed": len(CLIENTS),
        "peers": len(CLIENTS) * peer_count,
        "open": len(SHARES),
        "fit": 2,
    }
    return sum(length for part, length in lengths.items() if part in parts)


@dataclass
class Bench:
    """The servers, the pictures they are asked about, and what the stages need."""

    ours: Server
    peers: Mapping[str, Server]
    parts: Collection[str]
    pictures: list[str]
    fitted: list[Upload]
    plan: stages.Plan
    seconds: float
    say: Callable[[str], None]

    def round(self, number: int) -> dict[str, Summary | Figures]:
        """Run every measurement that is wanted once."""
        found: dict[str, Summary | Figures] = {}
        if "stages" in self.parts:
            found["stages"] = self._step("stages", lambda: stages.limit(self.plan))
        asked = {"closed": self.ours} if "closed" in self.parts else {}
        asked |= self.peers if "peers" in self.parts else {}
        for clients in CLIENTS:
            for server, its in asked.items():
                found[f"{server} {clients}"] = self._closed(f"{server} {clients}", its, clients)
        loops = [as_figures(part) for name, part in found.items() if name.startswith("closed ")]
        capacity = max((loop["served_per_s"] or 0.0 for loop in loops), default=0.0)
        idle_ms = (loops[0]["p50_ms"] or 0.0) if loops else 0.0
        for share in SHARES if "open" in self.parts else ():
            name = f"open {share:.0%}"
            found[name] = self._open(name, share * capacity, number, idle_ms)
        for share in (0.0, SHARES[0]) if "fit" in self.parts else ():
            name = f"fit and {share:.0%}" if share else "fit and closed 1"
            with scene.fitting(self.ours, self.fitted):
                found[name] = (
                    self._open(name, share * capacity, number, idle_ms)
                    if share
                    else self._closed(name, self.ours, 1)
                )
        return found

    def _closed(self, name: str, server: Server, clients: int) -> Figures:
        measured, figures = self._load(name, server, clients=clients)
        served = sum(sample.status == 200 for sample in measured.samples)
        return figures | {"server_ms": 1e3 * measured.server_s / served if served else None}

    def _open(self, name: str, rate: float, seed: int, idle_ms: float) -> Figures:
        before = self.ours.rss_bytes()
        measured, figures = self._load(name, self.ours, rate=rate, seed=seed)
        grown = self.ours.rss_bytes() - before
        return figures | {
            "rss_before_mib": before / 2**20,
            "rss_growth_mib": grown / 2**20,
            "recovery_s": recovery_s(measured.after, self.seconds, CALM * idle_ms / 1e3),
        }

    def _load(
        self, name: str, server: Server, *, clients: int = 0, rate: float = 0.0, seed: int = 0
    ) -> tuple[Measured, Figures]:
        """Run a load, and see what the server and all others took of the machine."""
        path = f"/v1/detectors/{scene.NAME}/score" if server is self.ours else peers.PATH
        plan = Plan(server.port, path, self.pictures, self.seconds, clients, rate, seed, server.pid)
        measured = self._step(name, lambda: generate(plan))
        others_s = measured.busy_s - measured.server_s - measured.cpu_s
        return measured, as_figures(summary(measured, self.seconds)) | {
            "server_cores": measured.server_s / measured.wall_s,
            "other_cores": max(0.0, others_s) / measured.wall_s,
        }

    def _step(self, name: str, work: Callable[[], T]) -> T:
        self.say(name)
        return work()
