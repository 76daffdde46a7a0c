"""Contract: what a device holds: backbones that are told apart, loaded and let go of in time."""

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.ray.backbones import Backbone
from app.ray.device import Device, Loaded
from app.scoring.batching import Batcher
from app.settings import Settings
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.errors import BackboneError

Pixels = NDArray[np.uint8]


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


def test_backbones_are_known_by_what_makes_them_different() -> None:
    """Law: a key is read back as what it was made of; engine and device do not matter."""
    settings = Settings(backbone="timm:x", precision="bfloat16", weights="w.pth", engine="torch")
    backbone = Backbone.of(settings)
    assert Backbone.parse(backbone.key) == backbone == Backbone("timm:x", "bfloat16", "w.pth")
    assert Backbone.of(settings.model_copy(update={"engine": "auto"})).key == backbone.key
    assert Backbone.of(settings.model_copy(update={"precision": "float32"})).key != backbone.key


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
