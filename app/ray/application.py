"""What a configuration of Ray Serve names: the application of the devices, and those of the API.

One pool of devices serves any number of gatewatch applications, each with settings, state, backbone
and route prefix of its own. Numbers of replicas are the configuration's (``deploy/ray``).
"""

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application

from app.ray.asking import DEVICE, TARGETS
from app.ray.backbones import Backbone, Precision
from app.ray.device import Device
from app.ray.ingress import INGRESS, Ingress
from app.ray.targets import Targets
from app.settings import check_environment


class _Args(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoadedBackbone(_Args):
    """A backbone that every device replica has from its start."""

    name: str
    precision: Precision = "float32"
    weights: str = ""


class DevicesArgs(_Args):
    """Arguments of ``devices``."""

    backbones: list[LoadedBackbone] = [LoadedBackbone(name="se-lite0")]


class ApiArgs(_Args):
    """Arguments of ``api``."""

    devices: str = "devices"
    """Name of the application of the devices."""


def devices(args: DevicesArgs) -> Application:
    """Return the pool of devices; its route lists where the metrics of all replicas are."""
    check_environment()
    held = [Backbone(**each.model_dump()) for each in args.backbones]
    pool = serve.deployment(name=DEVICE)(Device).bind(held)
    return serve.deployment(name=TARGETS)(Targets).bind(pool)


def api(args: ApiArgs) -> Application:
    """Return the API on a pool of devices."""
    check_environment()
    return serve.deployment(name=INGRESS)(Ingress).bind(args.devices)
