"""A long load at ten times the capacity, the service's memory watched all the while."""

import threading
import time

from benchmarks.serving import scene
from benchmarks.serving.figures import Figures, as_figures, growth_per_minute, summary
from benchmarks.serving.load import Plan, generate
from benchmarks.serving.processes import Server

NAME = "soak"
EVERY_S = 1.0


def measured(server: Server, pictures: list[str], rate: float, minutes: float) -> Figures:
    """Return the figures of an open loop of so many requests a second, and what memory grew by."""
    seconds = 60 * minutes
    watch = Watch(server)
    plan = Plan(server.port, f"/v1/detectors/{scene.NAME}/score", pictures, seconds, rate=rate)
    thread = threading.Thread(target=watch.run, name="memory")
    thread.start()
    try:
        load = generate(plan)
    finally:
        watch.over.set()
        thread.join()
    under_load = [(at_s, mib) for at_s, mib in watch.seen if at_s <= seconds]
    return as_figures(summary(load, seconds)) | {
        "minutes": minutes,
        "rss_growth_mib": under_load[-1][1] - under_load[0][1],
        "rss_growth_mib_per_minute": growth_per_minute(under_load),
    }


class Watch:
    """Looks at a server's memory until it is over."""

    def __init__(self, server: Server) -> None:
        self.over = threading.Event()
        self.seen: list[tuple[float, float]] = []
        """Seconds since the beginning, MiB."""
        self._server = server

    def run(self) -> None:
        """Look now, and every ``EVERY_S`` seconds."""
        begun_s = time.perf_counter()
        while True:
            self.seen.append((time.perf_counter() - begun_s, self._server.rss_bytes() / 2**20))
            if self.over.wait(EVERY_S):
                return
