"""Contract: what an ingress replica has in place of an embedder, without a cluster."""

import asyncio
import inspect
import pickle
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from ray import serve
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    TaskCancelledError,
)
from ray.serve.config import AutoscalingConfig, AutoscalingContext
from ray.serve.exceptions import RayServeException

from app import problems
from app.errors import OverloadedError, StorageError, UnavailableError
from app.ray import targets
from app.ray.application import api, devices
from app.ray.asking import Devices
from app.ray.backbones import Backbone, Card
from app.ray.device import Device, Loaded
from app.ray.ingress import Ingress, require_shared
from app.ray.remote_embedder import Answer, GoneError, RemoteEmbedder
from app.ray.scaling import IMAGES, by_images
from app.ray.targets import Exposed
from app.scoring.batching import Batcher
from app.settings import Settings
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.errors import (
    BackboneError,
    DeviceMemoryError,
    FingerprintMismatchError,
    InvalidMaskError,
)

Pixels = NDArray[np.uint8]


class Wire:
    """Stands for the network: asks the embedder here, after failing as it is told to."""

    def __init__(self, embedder: Embedder, *failures: Exception) -> None:
        self._embedder = embedder
        self._failures: Iterator[Exception] = iter(failures)
        self.sizes: list[int] = []

    def __call__(self, images: Pixels, timeout_s: float) -> Answer:
        assert timeout_s > 0
        self.sizes.append(len(images))
        for failure in self._failures:
            raise failure
        return Answer(self._embedder.embed(list(images)), "onnx")


def remote(embedder: Embedder, *failures: Exception, **options: float) -> RemoteEmbedder:
    """Return one that knows no more than what has come over the wire."""
    card = pickle.loads(pickle.dumps(Card.of(embedder, 64)))
    return RemoteEmbedder(card, Wire(embedder, *failures), pause_s=0.0, **options)


def test_it_embeds_as_the_embedder_does(embedder: Embedder, texture: list[Pixels]) -> None:
    """Reference: the embedder, for preparing, masks and embeddings."""
    ours = remote(embedder)
    mask = np.zeros((16, 16), np.uint8)
    mask[:8] = 255
    ready = [ours.prepare(image, 64, mask) for image in texture[:3]]
    for image, prepared in zip(texture, ready, strict=False):
        np.testing.assert_array_equal(prepared, embedder.prepare(image, 64, mask))
    found, wanted = ours.embed(ready), embedder.embed(ready)
    for block, rows in wanted.mean.items():
        np.testing.assert_array_equal(found.mean[block], rows)
    with pytest.raises(InvalidMaskError):
        ours.weights(np.zeros((4, 4), np.uint8), 64)
    for name in ("name", "device", "fingerprint", "channels", "regional"):
        assert getattr(ours, name) == getattr(embedder, name)


def test_it_says_what_saw_the_last_images(embedder: Embedder, texture: list[Pixels]) -> None:
    ours = remote(embedder)
    assert ours.engine_of(64) == "torch"
    ours.embed([ours.prepare(texture[0], 64)])
    assert ours.engine_of(64) == "onnx"


def test_a_replica_that_is_gone_is_no_failure(embedder: Embedder, texture: list[Pixels]) -> None:
    ours = remote(embedder, GoneError("killed"), GoneError("stopping"))
    assert len(ours.embed([ours.prepare(texture[0], 64)])) == 1


@pytest.mark.parametrize(
    "failures",
    [(TimeoutError(),), (GoneError("killed"),) * 10_000],
    ids=["none answers", "all die"],
)
def test_without_a_device_the_request_is_to_be_repeated(
    embedder: Embedder, texture: list[Pixels], failures: tuple[Exception, ...]
) -> None:
    ours = remote(embedder, *failures, patience_s=0.01)
    with pytest.raises(OverloadedError) as refused:
        ours.embed([ours.prepare(texture[0], 64)])
    assert refused.value.retry_after_s >= 1


def batched(embedder: Any, images: list[Pixels]) -> list[Any]:
    async def run() -> list[Any]:
        batcher = Batcher(embedder, Telemetry(), max_batch=4, max_queue=8)
        batcher.start()
        try:
            futures = batcher.submit(images)
            return await asyncio.gather(*futures, return_exceptions=True)
        finally:
            await batcher.stop()

    return asyncio.run(run())


def test_what_a_device_refuses_is_refused_once(embedder: Embedder, texture: list[Pixels]) -> None:
    """Contract: a batch that a device has no place for is not halved and sent again."""
    wire = Wire(embedder, *[OverloadedError("full", 7)] * 8)
    ours = RemoteEmbedder(Card.of(embedder, 64), wire)
    ours.lanes = 1  # type: ignore[misc]  # one call, so that it is seen whether it is cut
    images = [ours.prepare(image, 64) for image in texture[:4]]
    outcomes = batched(ours, images)
    assert {type(one) for one in outcomes} == {OverloadedError}
    assert {one.retry_after_s for one in outcomes} == {7}
    assert wire.sizes == [4]


def test_what_a_device_has_no_memory_for_is_sent_in_parts(
    embedder: Embedder, texture: list[Pixels]
) -> None:
    wire = Wire(embedder, DeviceMemoryError("out of memory"))
    ours = RemoteEmbedder(Card.of(embedder, 64), wire)
    ours.lanes = 1  # type: ignore[misc]
    images = [ours.prepare(image, 64) for image in texture[:4]]
    assert all(len(one.embedding) == 1 for one in batched(ours, images))
    assert wire.sizes == [4, 2, 2]


LOST: list[Exception] = [
    OutOfMemoryError("the process was ended for want of memory"),
    NodeDiedError("the machine is gone"),
    OwnerDiedError("a" * 56, "address", "site"),
    ObjectLostError("a" * 56, "address", "site"),
    TaskCancelledError(),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_whatever_ray_loses_is_asked_again(error: Exception) -> None:
    """Contract: all that Ray says of its own is passing; what the device says is raised."""

    def result(timeout_s: float) -> Any:
        raise error

    handle: Any = SimpleNamespace(
        options=lambda **_: handle, embed=SimpleNamespace(remote=lambda *_: response)
    )
    response = SimpleNamespace(result=result)
    with pytest.raises(GoneError):
        Devices(handle, Backbone("se-lite0"))(np.zeros((1, 3, 8, 8), np.uint8), 1.0)


def test_other_weights_are_told_and_ask_for_another_replica(
    embedder: Embedder, texture: list[Pixels]
) -> None:
    """Contract: a conflict and no bug, and Serve starts one with a new card."""
    ours = remote(embedder, *[FingerprintMismatchError("other weights")] * 4)
    assert ours.why_outdated == []
    outcomes = batched(ours, [ours.prepare(image, 64) for image in texture[:4]])
    assert {type(one) for one in outcomes} == {FingerprintMismatchError}
    assert problems.of(outcomes[0]).status == 409
    assert ours.why_outdated == ["other weights"]
    assert len(ours.embed([ours.prepare(texture[0], 64)])) == 1  # of a replica with ours
    ingress: Any = SimpleNamespace(_health=SimpleNamespace(why_not_alive=list), _embedder=ours)
    with pytest.raises(UnavailableError, match="other weights"):
        Ingress.check_health(ingress)


def test_where_no_device_answers_one_call_waits_for_all(
    embedder: Embedder, texture: list[Pixels]
) -> None:
    """Contract: after a while patience is not each call's, and ends with the first answer."""
    asks, tried, goes_on = 0, threading.Event(), threading.Event()

    def ask(images: Pixels, timeout_s: float) -> Answer:
        nonlocal asks
        asks += 1
        if asks == 1:
            raise TimeoutError
        if asks == 2:
            tried.set()
            assert goes_on.wait(60)
        return Answer(embedder.embed(list(images)), "onnx")

    ours = RemoteEmbedder(Card.of(embedder, 64), ask, patience_s=60)
    images = [ours.prepare(texture[0], 64)]
    with pytest.raises(OverloadedError):
        ours.embed(images)
    ours._silent_s -= 60  # as after so long
    with ThreadPoolExecutor(1) as thread:
        trying = thread.submit(ours.embed, images)
        assert tried.wait(60)
        with pytest.raises(OverloadedError):
            ours.embed(images)
        assert asks == 2
        goes_on.set()
        assert len(trying.result(60)) == 1
    with ThreadPoolExecutor(2) as threads:
        assert [len(found) for found in threads.map(ours.embed, [images] * 2)] == [1, 1]


def test_a_backbone_that_cannot_be_loaded_takes_nobodys_room() -> None:
    """Contract: Serve, which makes room first, is asked only once it is loaded."""

    asked: list[str] = []
    device: Any = SimpleNamespace(_settings=Settings(device="cpu"), _loaded={}, _fresh={})
    device._load = partial(Device._load, device)

    async def serves(key: str) -> Any:
        asked.append(key)
        return device._fresh.pop(key)

    async def run() -> None:
        device._loading, device._backbone = asyncio.Lock(), serves
        for wrong in (Backbone("no-such"), Backbone("se-lite0", weights="/no/such")):
            with pytest.raises(BackboneError):
                await Device._held(device, wrong.key)
        assert asked == []

    asyncio.run(run())


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


def test_backbones_are_known_by_what_makes_them_different() -> None:
    """Law: a key is read back as what it was made of; engine and device do not matter."""
    settings = Settings(backbone="timm:x", precision="bfloat16", weights="w.pth", engine="torch")
    backbone = Backbone.of(settings)
    assert Backbone.parse(backbone.key) == backbone == Backbone("timm:x", "bfloat16", "w.pth")
    assert Backbone.of(settings.model_copy(update={"engine": "auto"})).key == backbone.key
    assert Backbone.of(settings.model_copy(update={"precision": "float32"})).key != backbone.key


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


def test_a_backbone_that_makes_room_first_does_what_waits(
    embedder: Embedder, texture: list[Pixels]
) -> None:
    """Contract: Serve unloads on a thread of its own, while calls may be under way."""

    async def run() -> tuple[list[Any], list[str]]:
        gone: list[str] = []
        batcher = Batcher(embedder, Telemetry(), max_batch=1, max_queue=8)
        loaded = Loaded(embedder, batcher, lambda: gone.append("left"))
        images = [embedder.prepare(image, 64) for image in texture[:6]]
        futures = batcher.submit(images)
        await asyncio.to_thread(loaded.__del__)
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        async with asyncio.timeout(60):
            while not gone:
                await asyncio.sleep(0.01)
        assert not batcher.alive
        loaded.__del__()  # as the interpreter will once more
        return outcomes, gone

    outcomes, gone = asyncio.run(run())
    assert [len(each.embedding) for each in outcomes] == [1] * 6
    assert gone == ["left"]
