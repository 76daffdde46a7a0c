"""Contract: what an ingress replica has in place of an embedder, without a cluster."""

import asyncio
import inspect
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from app.errors import OverloadedError, StorageError
from app.ray.application import api, devices
from app.ray.backbones import Backbone, Card
from app.ray.device import Loaded
from app.ray.ingress import require_shared
from app.ray.remote_embedder import Answer, GoneError, RemoteEmbedder
from app.ray.scaling import IMAGES, by_images
from app.scoring.batching import Batcher
from app.settings import Settings
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.errors import DeviceMemoryError, InvalidMaskError

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
