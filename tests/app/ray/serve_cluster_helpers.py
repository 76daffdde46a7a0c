"""What tests ask of a service on Ray Serve, alone or under load, and how it is configured.

The configuration is ``deploy/ray/serve.yaml``, with two applications, each of its own limits.
"""

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from http_helpers import create, upload

ROOT = Path(__file__).parents[3]
OTHER = "/other"
QUEUE = 4
LONGEST_S = 120


def configuration(folder: Path) -> dict[str, Any]:
    """The committed one, smaller and in a hurry, with a second application."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())
    del config["http_options"]
    pool, first = config["applications"]
    settings = {"GATEWATCH_DEVICE": "cpu", "GATEWATCH_ENGINE": "torch", "GATEWATCH_THREADS": "1"}
    pool["runtime_env"] = {"env_vars": settings}
    device, _ = pool["deployments"]
    device["autoscaling_config"] |= {
        "max_replicas": 2,
        "target_ongoing_requests": 2,
        "metrics_interval_s": 1,
        "look_back_period_s": 2,
        "upscale_delay_s": 1,
    }
    first["runtime_env"] = {
        "env_vars": {"GATEWATCH_DATA_DIR": str(folder / "first"), "GATEWATCH_OPEN": "true"}
    }
    (ingress,) = first["deployments"]
    ingress["autoscaling_config"] = None
    ingress["num_replicas"] = 1
    for each in (device, ingress):
        each["ray_actor_options"] = {"num_cpus": 0.1}
    other = copy.deepcopy(first)
    other["name"], other["route_prefix"] = "other", OTHER
    other["runtime_env"]["env_vars"] |= {
        "GATEWATCH_DATA_DIR": str(folder / "other"),
        "GATEWATCH_PRECISION": "bfloat16",
        "GATEWATCH_QUEUE_IMAGES": str(QUEUE),
        "GATEWATCH_MAX_REQUEST_IMAGES": str(QUEUE),
        "GATEWATCH_MAX_BODY_BYTES": "1000000",
        "GATEWATCH_QUEUE_BYTES": "1000000",
    }
    config["applications"].append(other)
    return config


def until(holds: Callable[[], Any], what: str, timeout_s: float = LONGEST_S) -> None:
    """Wait until something is truthy."""
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, f"still waiting for {what}"
        time.sleep(0.2)


def learn(client: Any, name: str, pngs: list[bytes]) -> dict[str, Any]:
    """Fit and calibrate a detector, and return what it says of images that it has not seen."""
    create(client, name)
    for verb, part in (("fit", pngs[:20]), ("calibrate", pngs[20:40])):
        ended = upload(client, name, verb, part)
        assert ended.status_code == 200, ended.text
    answer = upload(client, name, "score", pngs[40:44])
    assert answer.status_code == 200, answer.text
    scored: dict[str, Any] = answer.json()
    return scored


def post(client: httpx.Client, content: bytes, prefix: str = "") -> httpx.Response:
    headers = {"content-type": "image/png"}
    url = f"{prefix}/v1/detectors/screws/score"
    return client.post(url, content=content, headers=headers)


@dataclass
class Load:
    """What clients were answered, each sending one image after the other."""

    statuses: Counter[Any] = field(default_factory=Counter)
    refused: list[httpx.Response] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


@contextmanager
def under_load(url: str, content: bytes, clients: int, prefix: str = "") -> Iterator[Load]:
    load, done = Load(), threading.Event()

    def send() -> None:
        with httpx.Client(base_url=url, timeout=LONGEST_S) as client:
            while not done.is_set():
                try:
                    answer = post(client, content, prefix)
                except httpx.TransportError as error:
                    load.statuses[type(error).__name__] += 1
                    continue
                load.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    load.scores.append(answer.json()["results"][0]["score"])
                else:
                    load.refused.append(answer)
                    time.sleep(0.05)

    with ThreadPoolExecutor(clients) as pool:
        sending = [pool.submit(send) for _ in range(clients)]
        try:
            yield load
        finally:
            done.set()
    for each in sending:
        each.result()
