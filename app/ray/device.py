"""A replica that holds backbones on a device and embeds images that others have made ready.

Calls of all who ask meet in the same work-conserving queue that a single server has; so a pass is
as full as there is work, and nobody waits for company.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from ray import serve
from threadpoolctl import threadpool_limits

from app import __version__
from app.environment import read_settings
from app.errors import UnavailableError
from app.health.heartbeats import Heartbeats
from app.health.state import HOPELESS
from app.ray.backbones import Backbone, Card
from app.ray.remote_embedder import Answer
from app.ray.scaling import IMAGES
from app.ray.targets import Exposed
from app.scoring.batching import Batcher
from app.scoring.queue import Embedded
from app.telemetry import Telemetry
from app.unbroken import together
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import FingerprintMismatchError
from detector.spec import DEFAULT_IMAGE_SIZE

BACKBONES = 4
"""Most that one replica holds; the one that was used longest ago makes room."""
WAIT_S = 0.01
FAREWELL_S = 0.5


class Loaded:
    """One backbone and the queue in front of it."""

    def __init__(self, embedder: Embedder, batcher: Batcher, left: Callable[[], None]) -> None:
        self.embedder, self.batcher = embedder, batcher
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._leaving: asyncio.Task[None] | None = None
        batcher.start()

    @property
    def images(self) -> int:
        """Images that wait for it, or are on it."""
        return self.batcher.left

    def __del__(self) -> None:
        """Make room: Serve calls this on a thread of its own for what it has unloaded."""
        if self.batcher.alive and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._leaving = asyncio.create_task(self.leave(), name="leaving a backbone")

    async def leave(self) -> None:
        """Stop once nothing is left to do."""
        while self.batcher.alive and self.images:
            await asyncio.sleep(WAIT_S)
        await self.batcher.stop()
        self._left()


class Device:
    """Embeds with any backbone that is asked for.

    Args:
        backbones: that it loads before it takes any call; others, when they are first asked for.

    Raises:
        BackboneError: if one of them cannot be loaded.
        InvalidSettingsError: if a setting is wrong.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, backbones: Sequence[Backbone] = ()
    ) -> None:
        threadpool_limits(1, user_api="blas")  # as for a server: see app.main
        self._settings = read_settings()
        self._telemetry = Telemetry()
        self._telemetry.queue_images.set_function(self._waiting)
        self._heartbeats = Heartbeats(self._telemetry)
        self._loaded: dict[str, Loaded] = {}
        self._loading = asyncio.Lock()
        self._fresh: dict[str, Embedder] = {}
        """What is loaded, and has no room yet."""
        for backbone in backbones:
            await self._held(backbone.key)
        self._exposed = Exposed(self._telemetry.registry, serve.get_replica_context().app_name)

    async def card(self) -> Card:
        """Return what is to be known of the backbone that is asked for."""
        loaded = await self._held(serve.get_multiplexed_model_id())
        return Card.of(loaded.embedder, DEFAULT_IMAGE_SIZE)

    async def embed(self, fingerprint: str, images: NDArray[np.uint8]) -> Answer:
        """Embed prepared images with the backbone that is asked for.

        Raises:
            FingerprintMismatchError: if the one of that name here is another.
            OverloadedError: if there is no room for them, or no memory.
            UnavailableError: if this replica can embed nothing any more.
            InferenceError: if the backbone fails on one of them.
        """
        loaded = await self._held(serve.get_multiplexed_model_id())
        if loaded.embedder.fingerprint != fingerprint:
            raise FingerprintMismatchError(
                f"a device replica has other weights of {loaded.embedder.name!r}: give all "
                "replicas the same files, and start them again"
            )
        futures = loaded.batcher.submit(list(images))
        embedded = await together(map(_of, futures))
        engine = loaded.embedder.engine_of(images.shape[-1])
        return Answer(Embedding.concatenate([each.embedding for each in embedded]), engine)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Say how many images wait here or are under way (``app.ray.scaling``)."""
        return {IMAGES: float(sum(loaded.images for loaded in tuple(self._loaded.values())))}

    def check_health(self) -> None:
        """Tell Serve whether only another replica could go on.

        Raises:
            UnavailableError: if so.
        """
        stuck_s = self._heartbeats.device.longest_s
        reasons = [f"{part}: {why}" for part, why in self._heartbeats.dead.items()]
        if stuck_s > HOPELESS * self._settings.health_seconds:
            reasons.append(f"device: stuck for {stuck_s:.0f} s")
        if reasons:
            raise UnavailableError("; ".join(reasons))

    async def __del__(self) -> None:
        """Leave; Serve has waited for the calls under way."""
        await self._exposed.stop()
        for loaded in tuple(self._loaded.values()):
            await loaded.leave()

    async def _held(self, key: str) -> Loaded:
        """Return a backbone. Serve makes room before it loads: what cannot be loaded takes none."""
        if key not in self._loaded:
            async with self._loading:
                if key not in self._loaded:
                    self._fresh[key] = await self._load(key)
                    await self._backbone(key)
        loaded: Loaded = await self._backbone(key)
        return loaded

    async def _load(self, key: str) -> Embedder:
        return await asyncio.to_thread(Backbone.parse(key).load, self._settings)

    @serve.multiplexed(  # type: ignore[untyped-decorator]  # Ray's
        max_num_models_per_replica=BACKBONES
    )
    async def _backbone(self, key: str) -> Loaded:
        """Load a backbone; Serve remembers which are here, and prefers this replica for them."""
        embedder = self._fresh.pop(key, None) or await self._load(key)
        embedder.warm(DEFAULT_IMAGE_SIZE)
        batcher = Batcher(
            embedder,
            self._telemetry,
            max_batch=self._settings.max_batch or embedder.best_batch,
            max_queue=self._settings.queue_images,
            heartbeats=self._heartbeats,
        )
        self._telemetry.queue_images.set_function(self._waiting)  # of all backbones, not of one
        # Those who wait are told first; then Serve starts another replica, and finds it missed.
        batcher.on_fatal = partial(_end, asyncio.get_running_loop())
        self._telemetry.build_info.labels(__version__, embedder.name, embedder.device).set(1)
        loaded = Loaded(embedder, batcher, partial(self._left, key, batcher))
        self._loaded[key] = loaded
        return loaded

    def _left(self, key: str, batcher: Batcher) -> None:
        if key in self._loaded and self._loaded[key].batcher is batcher:
            del self._loaded[key]

    def _waiting(self) -> int:
        return sum(loaded.batcher.waiting for loaded in tuple(self._loaded.values()))


def _end(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(FAREWELL_S, os._exit, 1)


async def _of(future: "asyncio.Future[Embedded]") -> Embedded:
    return await future
