"""The measurements of one round, in the order in which they take turns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.serving import scene, stages
from benchmarks.serving.figures import Figures, Summary, as_figures, recovery_s, summary
from benchmarks.serving.load import Measured, Plan, generate
from benchmarks.serving.processes import Server
from demo.service import Upload

CLIENTS = (1, 8, 64)
SHARES = (0.5, 0.8, 1.0, 2.0, 10.0)
CALM = 4
"""A service has recovered when it serves within so many times its idle latency."""
T = TypeVar("T")


@dataclass
class Bench:
    """Two servers, the pictures they are asked about, and what the stages need."""

    ours: Server
    plain: Server
    pictures: list[str]
    fitted: list[Upload]
    plan: stages.Plan
    seconds: float
    say: Callable[[str], None]

    def round(self, number: int) -> dict[str, Summary | Figures]:
        """Run every measurement once."""
        found: dict[str, Summary | Figures] = {}
        found["stages"] = self._step("stages", lambda: stages.limit(self.plan))
        for clients in CLIENTS:
            found[f"closed {clients}"] = self._closed(self.ours, clients, f"closed {clients}")
            found[f"plain {clients}"] = self._closed(self.plain, clients, f"plain {clients}")
        loops = [as_figures(found[f"closed {clients}"]) for clients in CLIENTS]
        capacity = max(loop["served_per_s"] or 0.0 for loop in loops)
        idle_ms = loops[0]["p50_ms"] or 0.0
        for share in SHARES:
            name = f"open {share:.0%}"
            found[name] = self._open(name, share * capacity, number, idle_ms)
        for share in (0.0, SHARES[0]):
            name = f"fit and {share:.0%}" if share else "fit and closed 1"
            with scene.fitting(self.ours, self.fitted):
                found[name] = (
                    self._open(name, share * capacity, number, idle_ms)
                    if share
                    else self._closed(self.ours, 1, name)
                )
        return found

    def _closed(self, server: Server, clients: int, name: str) -> Figures:
        before_s = server.cpu_s()
        measured = self._load(name, server, clients=clients)
        took_s = server.cpu_s() - before_s
        served = sum(sample.status == 200 for sample in measured.samples)
        figures = as_figures(summary(measured, self.seconds))
        return figures | {"server_ms": 1e3 * took_s / served if served else None}

    def _open(self, name: str, rate: float, seed: int, idle_ms: float) -> Figures:
        before = self.ours.rss_bytes()
        measured = self._load(name, self.ours, rate=rate, seed=seed)
        grown = self.ours.rss_bytes() - before
        return as_figures(summary(measured, self.seconds)) | {
            "rss_before_mib": before / 2**20,
            "rss_growth_mib": grown / 2**20,
            "recovery_s": recovery_s(measured.after, self.seconds, CALM * idle_ms / 1e3),
        }

    def _load(
        self, name: str, server: Server, *, clients: int = 0, rate: float = 0.0, seed: int = 0
    ) -> Measured:
        path = "/score" if server is self.plain else f"/v1/detectors/{scene.NAME}/score"
        plan = Plan(server.port, path, self.pictures, self.seconds, clients, rate, seed)
        return self._step(name, lambda: generate(plan))

    def _step(self, name: str, work: Callable[[], T]) -> T:
        self.say(name)
        return work()
