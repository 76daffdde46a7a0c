"""Contract: what is deployed: as many devices as are needed, what is refused before, metrics."""

import asyncio
import inspect
import socket
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingContext
from ray.serve.exceptions import RayServeException

from app.errors import StorageError
from app.ray import targets
from app.ray.application import api, devices
from app.ray.ingress import require_shared
from app.ray.scaling import IMAGES, by_images
from app.ray.targets import Exposed
from app.settings import Settings


@pytest.mark.parametrize(
    ("family", "host", "shown"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "[::1]")],
    ids=["IPv4", "IPv6"],
)
def test_metrics_are_withdrawn_at_once(
    family: int, host: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: also where the application that lists them has gone."""

    try:
        socket.create_server((host, 0), family=family).close()
    except OSError:
        pytest.skip("this machine has no IPv6")

    def gone(*_: str) -> Any:
        raise RayServeException("no such application")

    monkeypatch.setattr(serve, "get_deployment_handle", gone)
    monkeypatch.setattr(targets, "replica_labels", dict)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: host)

    async def run() -> None:
        exposed = Exposed(CollectorRegistry(), "devices")
        assert exposed._address.startswith(f"{shown}:")
        await asyncio.sleep(0)
        async with asyncio.timeout(60):  # far less than it would wait for the application
            await exposed.stop()

    asyncio.run(run())


@pytest.mark.parametrize(("images", "replicas"), [(0, 0), (16, 1), (33, 33 / 16), (160, 10)])
def test_devices_are_as_many_as_the_images_need(images: int, replicas: float) -> None:
    config = AutoscalingConfig(min_replicas=1, max_replicas=20, target_ongoing_requests=16)
    told: Any = {IMAGES: {"a": images / 4, "b": 3 * images / 4}} if images else {}
    parameters = inspect.signature(AutoscalingContext).parameters.keys()
    nothing: dict[str, Any] = dict.fromkeys(parameters - {"aggregated_metrics", "config"})
    context = AutoscalingContext(**nothing, aggregated_metrics=told, config=config)
    assert by_images(context)[0] == pytest.approx(replicas)


def test_machines_share_what_they_store() -> None:
    both = Settings(database="postgresql://h/d", bucket="s3://b/f")  # type: ignore[arg-type]
    require_shared(Settings(), 1)
    require_shared(both, 2)
    for lacking in ("database", "bucket"):
        with pytest.raises(StorageError, match="GATEWATCH_DATABASE"):
            require_shared(both.model_copy(update={lacking: None}), 2)


def test_settings_are_refused_before_anything_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWATCH_MAX_BACTH", "4")
    for build in (api, devices):
        (kind,) = build.__annotations__.keys() - {"return"}
        with pytest.raises(ValueError, match="GATEWATCH_MAX_BACTH"):
            build(build.__annotations__[kind]())
