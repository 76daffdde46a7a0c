"""A real server process of gatewatch, and what the tests ask of it over HTTP."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from http_helpers import followed
from ports import free_port
from prometheus_client import parser

MAX_BODY_BYTES = 20_000_000
LEASE_S = 5
SERVE = [sys.executable, "-m", "app.cli", "serve"]
STUB = [sys.executable, str(Path(__file__).with_name("faulty_server.py"))]
"""What starts a server on a backbone without torch."""


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("GATEWATCH_")}
    return kept | {"GATEWATCH_DEVICE": "cpu", "GATEWATCH_ENGINE": "torch"} | more


@dataclass
class Server:
    """A process that serves a data directory, its log in a file beside it.

    Attributes:
        directory: of its data.
        settings: environment variables on top of the tests' own.
        command: what is started; it takes ``--port``.
        host: of the loopback interface, on which it listens.
        port: on which it listens; 0 for a free one.
    """

    directory: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = tuple(SERVE)
    host: str = "127.0.0.1"
    port: int = 0

    def start(self) -> "Server":
        """Start it and wait until it is ready."""
        self.port = self.port or free_port()
        self.client = httpx.Client(base_url=f"http://{self.host}:{self.port}", timeout=60)
        self.log = self.directory.parent / "server.log"
        ours = {
            "GATEWATCH_HOST": self.host,
            "GATEWATCH_DATA_DIR": str(self.directory),
            "GATEWATCH_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
            "GATEWATCH_DRAIN_SECONDS": "60",
            "GATEWATCH_JOB_LEASE_S": str(LEASE_S),
        }
        variables = environment(**ours | dict(self.settings))
        with self.log.open("ab") as log:
            command = [*self.command, "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        deadline = time.monotonic() + 300
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    @contextmanager
    def serving(self) -> Iterator["Server"]:
        """Start it, and kill it in the end, if it is still there."""
        try:
            yield self.start()
        finally:
            self.process.kill()
            self.process.wait()
            self.client.close()

    def is_ready(self) -> bool:
        """Ask it."""
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals) -> int:
        """Send a signal, wait, and return the exit code."""
        self.process.send_signal(how)
        code = self.process.wait(90)
        self.client.close()
        return code

    def metrics(self) -> dict[str, Any]:
        """Return the last sample of every series by its name."""
        families = parser.text_string_to_metric_families(self.client.get("/metrics").text)
        return {sample.name: sample for family in families for sample in family.samples}

    def upload(self, name: str, verb: str, contents: list[bytes]) -> Any:
        """Send a form; return the JSON of its answer, or the result of its job."""
        files = [("images", (f"{i}.png", png, "image/png")) for i, png in enumerate(contents)]
        response = self.client.post(f"/v1/detectors/{name}/{verb}", files=files)
        response = followed(self.client, response)
        assert response.status_code == 200, response.text
        return response.json()

    def score(self, name: str, content: bytes) -> dict[str, Any]:
        """Return the result of one image, without its id and timings."""
        headers = {"content-type": "image/png"}
        response = self.client.post(f"/v1/detectors/{name}/score", content=content, headers=headers)
        assert response.status_code == 200, response.text
        (only,) = response.json()["results"]
        return {key: value for key, value in only.items() if key not in ("id", "timings_ms")}
