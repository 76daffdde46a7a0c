"""Prometheus and Alertmanager as processes on loopback, with the committed files, hurried."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import yaml
from ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PACKAGES = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
_direct = build_opener(ProxyHandler({}))


def program(name: str) -> str:
    """Where a program lies; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: it comes with Debian's package {PACKAGES[name]}")
    return path


def ask(url: str, body: Any = None) -> Any:
    """GET a URL, or POST a body as JSON, and return the JSON that is answered, if any."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, headers={"Content-Type": "application/json"})
    with _direct.open(request, timeout=60) as response:
        text = response.read()
    return json.loads(text) if text.startswith((b"{", b"[")) else None


def until(holds: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
    """Wait until something is truthy and return it; fails, naming it, after the time is up."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"after {timeout_s:g} s still waiting for {what}")


@contextmanager
def running(
    command: list[str], ready: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a program until the block ends, which begins when a URL answers."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            ask(ready)
        except (URLError, OSError):
            return False
        return True

    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        until(answers, f"{ready}", timeout_s=120)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """Alertmanager with the committed routes, a second for each wait; yields its address.

    Webhooks go to `webhook` instead, which stands for ``http://host.docker.internal:5001``.
    """
    path, port = program("prometheus-alertmanager"), free_port()
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("http://host.docker.internal:5001", webhook))
    for route in (config["route"], *config["route"]["routes"]):
        route.update(group_wait="1s", group_interval="1s")
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    command = [
        path,
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    address = f"127.0.0.1:{port}"
    with running(command, f"http://{address}/-/ready", folder / "alertmanager.log"):
        yield address


@contextmanager
def prometheus(folder: Path, target: str, alertmanager: str | None = None) -> Iterator[str]:
    """Prometheus with the committed rules, scraping every second; yields its URL.

    Alerts cease a second after their cause instead of minutes.
    """
    path, port = program("prometheus"), free_port()
    (folder / "rules").mkdir()
    for source in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        rules = yaml.safe_load(source.read_text(encoding="utf-8"))
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if "keep_firing_for" in rule:
                rule["keep_firing_for"] = "1s"
        (folder / "rules" / source.name).write_text(yaml.safe_dump(rules))
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    hurried = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["global"].update(hurried)
    (scraped,) = (job for job in config["scrape_configs"] if job["job_name"] == "gatewatch")
    del scraped["dns_sd_configs"]  # of containers
    scraped["static_configs"] = [{"targets": [target]}]
    config["scrape_configs"] = [scraped]
    ((managers,),) = (each["static_configs"] for each in config["alerting"]["alertmanagers"])
    managers["targets"] = [alertmanager] if alertmanager else []
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    command = [
        path,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", folder / "prometheus.log"):
        yield url


def query(url: str, expr: str) -> list[dict[str, Any]]:
    """The samples that an instant query has now."""
    answer = ask(f"{url}/api/v1/query?{urlencode({'query': expr})}")
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found
