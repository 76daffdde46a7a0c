"""Ports for servers that are started as processes, and listen some time later."""

import itertools
import os
import random
import socket
from collections.abc import Iterator


def _ports() -> Iterator[int]:
    """Yield ports below those that the system gives away: each process of the tests has its own."""
    most, worker = 4000, int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = 12_000 + most * (worker % 5)
    yield from itertools.islice(
        itertools.cycle(range(first, first + most)), random.randrange(most), None
    )


_PORTS = _ports()


def free_port() -> int:
    """Return a port that nobody has, nor gets by chance before somebody listens on it."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports never end")
