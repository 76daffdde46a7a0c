"""The cluster that a fit runs on: one that is there, or one of this machine's cores, for its time.

Of the settings actors get all but what is secret: those that read a bucket find its keys where
their machine has them, as servers do.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from pydantic import SecretStr
from ray.data import DataContext

from app.bulk.errors import BulkError
from app.settings import Settings

BLOCK_BYTES = 32 * 2**20
"""Prepared images are handed on when there are so many."""
STORE_BYTES = 2**28
"""Of a local cluster, for each actor: what waits for it and what it has made."""
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a fit runs, and on how much of it.

    Attributes:
        address: ``auto``, ``local`` or HOST:PORT; empty takes RAY_ADDRESS, else local.
        workers: actors that embed; None for one on every GPU, else on four of five cores, or on
            every core of this machine where a cluster is started on it.
        decoders: actors that read and decode; None for one on every core that is left, or for one
            beside every four that embed.
    """

    address: str = ""
    workers: int | None = None
    decoders: int | None = None


@dataclass(frozen=True, slots=True)
class Actors:
    """How many there are of each kind, and how many GPUs one that embeds has."""

    workers: int
    decoders: int
    gpus: int


@contextmanager
def connected(cluster: Cluster, settings: Settings) -> Iterator[Actors]:
    """Connect to the cluster, or start one that ends in the end.

    Raises:
        BulkError: if it cannot be reached, or is too small.
    """
    address = cluster.address or os.environ.get("RAY_ADDRESS") or LOCAL
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        wanted = _local(cluster)
        size: dict[str, Any] = {"num_cpus": wanted, "object_store_memory": STORE_BYTES * wanted}
        ray.init(LOCAL, include_dashboard=False, **size, **quiet)
    else:
        try:
            ray.init(address, **quiet)
        except (ConnectionError, ValueError) as error:
            raise BulkError(f"no cluster of Ray's answers at {address!r}: {error}") from error
    try:
        data = DataContext.get_current()
        data.enable_progress_bars = data.print_on_execution_start = False
        data.target_max_block_size = BLOCK_BYTES
        data.max_errored_blocks = 0  # or images would be missing in silence
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = 0 if settings.device == "cpu" else int(there.get("GPU", 0))
        yield shared(cluster, int(there.get("CPU", 0)), gpus)
    finally:
        ray.shutdown()


def without_secrets(settings: Settings) -> Settings:
    """Return the settings that actors get, with paths that mean the same in any folder."""
    secret = {name: None for name, value in settings if isinstance(value, SecretStr)}
    weights = settings.weights and settings.weights.resolve()
    paths = {"data_dir": settings.data_dir.resolve(), "weights": weights}
    return settings.model_copy(update={**secret, **paths})


def _local(cluster: Cluster) -> int:
    """Return how many CPUs a local cluster is told it has: actors that decode mostly wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = cluster.workers or cores or 1
    return workers + (cluster.decoders or max(1, workers // 4))


def shared(cluster: Cluster, cpus: int, gpus: int) -> Actors:
    """Divide the cores among actors, each of which takes one.

    Raises:
        BulkError: if there are too few.
    """
    workers = cluster.workers or gpus or max(1, cpus - max(1, cpus // 5))
    decoders = cluster.decoders or cpus - workers
    both_given = cluster.workers and cluster.decoders
    if decoders < 1 or (workers + decoders > cpus and not both_given):
        raise BulkError(
            f"{workers} worker(s) that embed and at least one that decodes take a core each, and "
            f"the cluster has {cpus}: give --workers and --decoders, or more cores"
        )
    return Actors(workers, decoders, 1 if gpus else 0)
