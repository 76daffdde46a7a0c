"""The replicas of a cluster as Prometheus is told of them, and a real Prometheus that asks."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from ports import free_port
from serve_cluster_helpers import ROOT, until


def targets(client: httpx.Client) -> list[dict[str, Any]]:
    """What Prometheus is told: the addresses of the replicas, by deployment."""
    answer = client.get("/targets")
    assert answer.headers["content-type"] == "application/json"
    found: list[dict[str, Any]] = answer.json()
    return found


def kind_of(labels: dict[str, str]) -> tuple[str, str]:
    return labels["application"], labels["deployment"]


@contextmanager
def prometheus(folder: Path, listed: str) -> Iterator[str]:
    """Prometheus on the committed file, in a hurry, without rules and alerts."""
    path = shutil.which("prometheus")
    if path is None:
        pytest.skip("prometheus is not installed: it comes with Debian's package prometheus")
    config = yaml.safe_load((ROOT / "deploy/ray/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (discovery,) = job["http_sd_configs"]
    discovery |= {"url": listed, "refresh_interval": "1s"}
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    del config["alerting"], config["rule_files"]
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(config))
    command = [path, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until(lambda: is_answered(f"{url}/-/ready"), "Prometheus")
            yield url
        finally:
            process.kill()


def is_answered(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
