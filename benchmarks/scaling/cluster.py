"""What a cluster would serve, what holds it up first, and what it would cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scaling.costs import SERVER, Costs, Work

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that scores: its cores, what an accelerator does alone, its price.

    With an accelerator (``device_images_per_s`` > 0) the cores are spared the engine's share.
    """

    name: str
    cores: int
    device_images_per_s: float
    price_per_hour: float


@dataclass(frozen=True, slots=True)
class Shared:
    """What all nodes have in common: one database, one bucket, one way in.

    Attributes:
        database_cores: of the one PostgreSQL that takes writes.
        log_bytes_per_s: that its write-ahead log can take.
        bucket_puts_per_s: requests to one prefix.
        network_bytes_per_s: of the load balancer.
        database_price, gigabyte_month_price, thousand_puts_price: in the currency of the nodes.
    """

    database_cores: int
    log_bytes_per_s: float
    bucket_puts_per_s: float
    network_bytes_per_s: float
    database_price_per_hour: float
    gigabyte_month_price: float
    thousand_puts_price: float


@dataclass(frozen=True, slots=True)
class Station:
    """A part of the cluster, and how many images a second it can take at most."""

    name: str
    images_per_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What is known of the images beside their work: bytes of a file, and of the engine's pass."""

    work: Work
    file_bytes: float
    engine_s: float


def stations(costs: Costs, load: Load, node: Node, nodes: int, shared: Shared) -> list[Station]:
    """Return the stations, the one that is full first before the others."""
    work = load.work
    core_s = costs.of(SERVER, work)
    if node.device_images_per_s:
        core_s = max(core_s - load.engine_s, 1e-6)
    found = [Station("the nodes' cores", costs.utilisation * nodes * node.cores / core_s)]
    if node.device_images_per_s:
        found.append(Station("the devices", nodes * node.device_images_per_s))
    found += [
        Station("the database's cores", _over(shared.database_cores, costs.of("database_s", work))),
        Station("the database's log", _over(shared.log_bytes_per_s, costs.of("log_bytes", work))),
        Station("the bucket's puts", _over(shared.bucket_puts_per_s, costs.of("puts", work))),
        Station("the way in", shared.network_bytes_per_s / load.file_bytes),
    ]
    return sorted(found, key=lambda each: each.images_per_s)


def _over(capacity: float, demand: float) -> float:
    return capacity / demand if demand > 0 else float("inf")


def nodes_for(images_per_s: float, costs: Costs, load: Load, node: Node, shared: Shared) -> int:
    """Return how many nodes alone would do for so many images a second."""
    own = [s for s in stations(costs, load, node, 1, shared) if s.name in NODES]
    return -int(-images_per_s // min(each.images_per_s for each in own))


NODES = ("the nodes' cores", "the devices")
"""Stations of which every node brings its own."""


def shares(images_per_s: float, found: Sequence[Station]) -> dict[str, int]:
    """Return how many of each shared part so many images a second would need."""
    return {
        each.name: max(1, -int(-images_per_s // each.images_per_s))
        for each in found
        if each.name not in NODES
    }


@dataclass(frozen=True, slots=True)
class Bill:
    """What a day costs: of the nodes, the databases, the files that are written."""

    nodes: float
    databases: float
    files: float

    @property
    def whole(self) -> float:
        """All of it."""
        return self.nodes + self.databases + self.files


def bill(
    images_per_day: float,
    nodes: int,
    databases: int,
    costs: Costs,
    load: Load,
    node: Node,
    shared: Shared,
) -> Bill:
    """Return the price of a day; files that are kept are paid for one day of their month."""
    work = load.work
    puts = images_per_day * costs.of("puts", work) / 1000 * shared.thousand_puts_price
    kept_gb = images_per_day * costs.of("blob_bytes", work) / 1e9
    return Bill(
        24 * nodes * node.price_per_hour,
        24 * databases * shared.database_price_per_hour,
        puts + kept_gb * shared.gigabyte_month_price / 30,
    )
