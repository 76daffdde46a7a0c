"""A real service process on loopback, for Prometheus to scrape and for a simulation to play at."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alerting_processes import running
from ports import free_port


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """Serve a data directory in the folder, on one CPU thread; yields the address, HOST:PORT."""
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("GATEWATCH_")}
    settings = {
        "GATEWATCH_DATA_DIR": str(folder / "data"),
        "GATEWATCH_DEVICE": "cpu",
        "GATEWATCH_ENGINE": "torch",  # an export would take longer than it saves
        "GATEWATCH_THREADS": "1",
    }
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    ready = f"http://127.0.0.1:{port}/readyz"
    with running(command, ready, folder / "service.log", kept | settings):
        yield f"127.0.0.1:{port}"
