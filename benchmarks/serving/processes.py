"""The servers that are measured, as processes: started, watched through /proc (Linux), stopped."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.load import ROOT
from benchmarks.serving.machine import taken_s
from demo.service import Service

PREFIX = "GATEWATCH_"


@dataclass(frozen=True, slots=True)
class Server:
    """A server at work, and a client for it."""

    pid: int
    port: int
    client: Service

    def rss_bytes(self) -> int:
        """Return the memory that it holds."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"process {self.pid} has ended")

    def cpu_s(self) -> float:
        """Return the processor time that it has taken."""
        return taken_s(self.pid)


def plain_environment() -> dict[str, str]:
    """Return the environment without settings of the service, so that its defaults hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


@contextmanager
def started(
    module: str, arguments: Sequence[str], folder: Path, settings: Mapping[str, str]
) -> Iterator[Server]:
    """Start a module that serves at ``--port``, give it once it is ready, stop it in the end.

    Args:
        module: to run; answers 200 at /readyz when it is ready.
        arguments: before the port.
        folder: of its log; made if missing.
        settings: variables on top of the plain environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=plain_environment() | dict(settings), stdout=log, stderr=log
        )
    client = Service(process, port, folder / "server.log")
    try:
        client.wait_until_ready()
        yield Server(process.pid, port, client)
    finally:
        client.http.close()
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def gatewatch(folder: Path, **settings: str) -> Iterator[Server]:
    """Start the service on its defaults, its data in ``folder``; settings without their prefix."""
    variables = {f"{PREFIX}DATA_DIR": str(folder / "data")}
    variables |= {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    with started("app.cli", ["serve"], folder, variables) as server:
        yield server
