"""The real service as a subprocess, and a client that times what it asks of it over HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
LOG_TAIL_LINES = 20
POLL_S = 0.05

Upload = tuple[str, bytes]
"""A file name and the PNG file's bytes."""
Seen = Callable[[int], object]
"""Called with how many images of a job are done."""


class DemoError(RuntimeError):
    """The demonstration cannot go on; the message says why, for a person to read."""


def _free_port() -> int:
    """Return a TCP port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Service:
    """A running service and the requests the demonstration makes of it; times in milliseconds."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        """Wrap a process that has just been started and writes to ``log``."""
        self._process, self._log = process, log
        self.url = f"http://{HOST}:{port}"
        # Without the environment's proxies: they know nothing of this machine's loopback.
        self.http = httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    def wait_until_ready(self, limit_s: float = 120) -> None:
        """Return once ``/readyz`` answers 200; fail if the process ends or the time is up."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DemoError(self._obituary(f"ended with code {self._process.returncode}"))
            try:
                if self.http.get("/readyz", timeout=5).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # Not listening yet.
            time.sleep(0.2)
        raise DemoError(self._obituary(f"was not ready within {limit_s:.0f} s"))

    def _obituary(self, event: str) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"The service {event}. The end of {self._log}:", *lines])

    def request(self, method: str, path: str, **options: Any) -> tuple[Any, float]:
        """Return the answer's JSON, or None if it is empty, and how long the request took in ms."""
        response, elapsed_ms = self._send(method, path, **options)
        return (response.json() if response.content else None), elapsed_ms

    def _send(self, method: str, path: str, **options: Any) -> tuple[httpx.Response, float]:
        start = time.perf_counter()
        try:
            response = self.http.request(method, path, **options)
        except httpx.TransportError as error:
            raise DemoError(self._obituary(f"broke off {method} {path} ({error})")) from error
        elapsed_ms = 1000 * (time.perf_counter() - start)
        if response.is_error:
            raise DemoError(f"{method} {path}: {response.status_code} {response.text}")
        return response, elapsed_ms

    def _job(self, path: str, seen: Seen, **options: Any) -> tuple[Any, float]:
        """Submit a job and follow it; return its result, and the milliseconds from begin to end."""
        job, elapsed_ms = self.request("POST", path, **options)
        start = time.perf_counter()
        while job["state"] in ("queued", "running"):
            time.sleep(POLL_S)
            job, _ = self.request("GET", f"/v1/jobs/{job['id']}")
            seen(job["images_done"])
        if job["state"] != "succeeded":
            raise DemoError(f"The job of {path} {job['state']}: {job['problem']}")
        return job["result"], elapsed_ms + 1000 * (time.perf_counter() - start)

    def create(self, name: str, **spec: Any) -> None:
        """Create a detector, in place of an earlier one of that name."""
        self.http.delete(f"/v1/detectors/{name}")  # most often there is none
        self.request("POST", "/v1/detectors", json={"name": name} | spec)

    def fit(self, name: str, images: Sequence[Upload], seen: Seen) -> float:
        """Fit a detector on images; return the milliseconds it took."""
        answer, elapsed_ms = self._job(f"/v1/detectors/{name}/fit", seen, files=_parts(images))
        _expect_all(len(images), answer["fitted"], answer["rejected"])
        return elapsed_ms

    def calibrate(
        self, name: str, images: Sequence[Upload], target: float, seen: Seen
    ) -> tuple[Any, float]:
        """Return the threshold for a target false alarm rate, and the milliseconds it took."""
        path, parts = f"/v1/detectors/{name}/calibrate", _parts(images)
        answer, elapsed_ms = self._job(path, seen, params={"target": target}, files=parts)
        _expect_all(len(images), answer["calibrated"], answer["rejected"])
        return answer["threshold"], elapsed_ms

    def score(self, name: str, image: bytes) -> tuple[Any, float]:
        """Return the result for one PNG file sent as the body, and the milliseconds it took."""
        path, headers = f"/v1/detectors/{name}/score", {"Content-Type": "image/png"}
        answer, elapsed_ms = self.request("POST", path, content=image, headers=headers)
        return answer["results"][0], elapsed_ms

    def map(self, name: str, image: bytes) -> bytes:
        """Return a PNG file's overlay with its odd places painted, as PNG."""
        path, headers = f"/v1/detectors/{name}/map", {"Content-Type": "image/png"}
        return self._send("POST", path, content=image, headers=headers)[0].content


def _parts(images: Sequence[Upload]) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("images", (name, content, "image/png")) for name, content in images]


def _expect_all(sent: int, accepted: int, rejected: Any) -> None:
    if accepted != sent:
        raise DemoError(f"Only {accepted} of {sent} images were accepted: {rejected}")


@contextmanager
def running(folder: Path) -> Iterator[Service]:
    """Start the service on a free port, its data and its log in ``folder``; always stop it."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log_path = _free_port(), folder / "service.log"
    environment = {"GATEWATCH_DATA_DIR": str(folder / "data"), "GATEWATCH_HOST": HOST}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT
        )
        service = Service(process, port, log_path)
        try:
            yield service
        finally:
            service.http.close()
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
