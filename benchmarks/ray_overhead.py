"""What Ray Serve costs a request, beside the plain server, in one run and in turns.

    python -m benchmarks.ray_overhead [--rounds 5] [--requests 40] [--seconds 3]

Both serve the same detector, one replica of each kind on this machine, one thread a pass, the same
engine. Asked are /v1/info, which does no work, and the score of one JPEG: latency with one client,
requests per second with eight. Every figure is the median over the rounds, with the lowest and the
highest round beside it, for the machine may have other work.
"""

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import ray
import simplejpeg
from ray import serve

from app.ray.application import ApiArgs, DevicesArgs, api, devices
from app.settings import PREFIX

CLIENTS = 8
SIDE_PX = 256
START_S = 180.0
SETTINGS = {
    "DEVICE": "cpu",
    "ENGINE": "torch",
    "THREADS": "1",
    "OPEN": "true",
    "LOG_LEVEL": "warning",
}
Asked = Callable[[httpx.Client], httpx.Response]


def picture(seed: int) -> bytes:
    """Return a JPEG of noise over a slope."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(40, 200, SIDE_PX)[None, :, None]
    pixels = np.clip(slope + rng.normal(0, 12, (SIDE_PX, SIDE_PX, 3)), 0, 255).astype(np.uint8)
    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality=90)
    return encoded


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_ready(url: str) -> None:
    """Wait until a server is ready."""
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise TimeoutError(url)


@contextmanager
def plain(folder: Path) -> Iterator[str]:
    """Run ``gatewatch serve``."""
    port = free_port()
    environment = os.environ | {f"{PREFIX}DATA_DIR": str(folder / "plain")}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def on_ray(folder: Path) -> Iterator[str]:
    """Run the same on Ray Serve, in a cluster of this machine."""
    port = free_port()
    os.environ[f"{PREFIX}DATA_DIR"] = str(folder / "ray")  # its workers inherit it
    ray.init(
        num_cpus=4, include_dashboard=False, object_store_memory=300_000_000, log_to_driver=False
    )
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": port},
            logging_config={"enable_access_log": False},
        )
        serve.run(devices(DevicesArgs()), name="devices", route_prefix="/targets")
        serve.run(api(ApiArgs()), name="gatewatch", route_prefix="/")
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]  # Ray's
        ray.shutdown()


def learn(url: str) -> None:
    """Fit a detector."""
    files = [("images", (f"{seed}.jpg", picture(seed), "image/jpeg")) for seed in range(24)]
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/v1/detectors", json={"name": "noise"}).raise_for_status()
        job = client.post("/v1/detectors/noise/fit", files=files).raise_for_status()
        while client.get(job.headers["location"]).json()["state"] != "succeeded":
            time.sleep(0.2)


def latencies_s(url: str, asked: Asked, requests: int) -> list[float]:
    """Return the times of requests, one after the other."""
    took = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(requests):
            started_s = time.perf_counter()
            asked(client).raise_for_status()
            took.append(time.perf_counter() - started_s)
    return took


def per_s(url: str, asked: Asked, seconds: float) -> float:
    """Return the answers per second that several clients get at the same time."""
    end_s = time.perf_counter() + seconds

    def send(_: int) -> int:
        answered = 0
        with httpx.Client(base_url=url, timeout=60) as client:
            while time.perf_counter() < end_s:
                answered += asked(client).status_code == 200
        return answered

    started_s = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(send, range(CLIENTS)))
    return total / (time.perf_counter() - started_s)


def figure(values: list[float], digits: int = 1) -> str:
    """Return a median, and the lowest and highest beside it."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    for name, value in SETTINGS.items():
        os.environ[f"{PREFIX}{name}"] = value
    content, headers = picture(99), {"content-type": "image/jpeg"}
    asks: dict[str, Asked] = {
        "/v1/info": lambda client: client.get("/v1/info"),
        "score, one image": lambda client: client.post(
            "/v1/detectors/noise/score", content=content, headers=headers
        ),
    }
    with (
        tempfile.TemporaryDirectory() as name,
        plain(Path(name)) as one,
        on_ray(Path(name)) as other,
    ):
        servers = {"plain server": one, "Ray Serve": other}
        for url in servers.values():
            until_ready(url)
            learn(url)
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for _ in range(options.rounds):
            for what, asked in asks.items():
                for server, url in servers.items():
                    took = sorted(latencies_s(url, asked, options.requests))
                    p95 = took[int(0.95 * (len(took) - 1))]
                    row = (
                        1e3 * statistics.median(took),
                        1e3 * p95,
                        per_s(url, asked, options.seconds),
                    )
                    found.setdefault((what, server), []).append(row)
    print(f"ray {version('ray')}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print(f"| request | server | p50, ms | p95, ms | answers/s, {CLIENTS} clients |")
    print("|---|---|---|---|---|")
    for (what, server), rows in found.items():
        columns = " | ".join(figure(list(column)) for column in zip(*rows, strict=True))
        print(f"| {what} | {server} | {columns} |")


if __name__ == "__main__":
    main()
