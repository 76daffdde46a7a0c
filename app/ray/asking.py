"""How a replica asks those of another deployment, and what Ray's failures mean to the service."""

import asyncio
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.errors import UnavailableError
from app.ray.backbones import Backbone, Card
from app.ray.remote_embedder import Answer, GoneError

DEVICE, TARGETS = "Device", "Targets"
"""The deployments of the devices' application."""
FOUND_S = 300.0
"""How long a replica that starts waits for the application of the devices to be there."""


class Devices:
    """Asks device replicas for one backbone; ``app.ray.remote_embedder.Ask``."""

    def __init__(self, handle: DeploymentHandle[Any], backbone: Backbone) -> None:
        # Replicas that have the backbone already are preferred.
        self._handle = handle.options(multiplexed_model_id=backbone.key)
        self._fingerprint = ""

    async def card(self) -> Card:
        """Return what is to be known of the backbone, which is loaded if it was not."""
        card: Card = await self._handle.card.remote()
        self._fingerprint = card.fingerprint
        return card

    def __call__(self, images: NDArray[np.uint8], timeout_s: float) -> Answer:
        """Return the answer of one replica. Raises as ``Ask``."""
        response = self._handle.embed.remote(self._fingerprint, images)
        try:
            answer: Answer = response.result(timeout_s=timeout_s)
        except TimeoutError:
            response.cancel()  # type: ignore[no-untyped-call]  # Ray's
            raise
        except RayTaskError as error:  # what the replica raised, within what Ray says of it
            if isinstance(error.cause, UnavailableError):
                raise GoneError(str(error.cause)) from None
            raise error.cause from None
        except (RayError, RayServeException) as error:  # a process, machine or object was lost
            raise GoneError(str(error)) from error
        return answer


async def found(deployment: str, application: str) -> DeploymentHandle[Any]:
    """Return a handle to a deployment, once its application is there.

    Raises:
        RayServeException: if it does not come.
    """
    end_s = time.monotonic() + FOUND_S
    while True:
        try:
            return await asyncio.to_thread(serve.get_deployment_handle, deployment, application)
        except RayServeException:
            if time.monotonic() > end_s:
                raise
            await asyncio.sleep(0.5)


def replica_labels() -> dict[str, Any]:
    """Return what this replica is called."""
    me = serve.get_replica_context()
    return {"application": me.app_name, "deployment": me.deployment, "replica": me.replica_tag}
