"""Contract: what an ingress replica has in place of an embedder, without a cluster."""

import asyncio
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    TaskCancelledError,
)

from app import problems
from app.errors import OverloadedError, UnavailableError
from app.ray.asking import Devices
from app.ray.backbones import Backbone, Card
from app.ray.ingress import Ingress
from app.ray.remote_embedder import Answer, GoneError, RemoteEmbedder
from app.scoring.batching import Batcher
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.errors import DeviceMemoryError, FingerprintMismatchError, InvalidMaskError

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
