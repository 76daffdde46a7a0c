"""The service as a whole."""

from typing import Literal

from app.schemas.base import Body


class Health(Body):
    """Whether the service serves."""

    status: Literal["ok", "unavailable"]


class Info(Body):
    """What runs here and what it accepts."""

    version: str
    backbone: str
    backbone_fingerprint: str
    device: str
    engine: str
    """What sees pictures of the default size now: torch, until onnx is ready, or for good."""
    scorers: list[str]
    descriptors: list[str]
    blocks: list[str]
    """The backbone's blocks, in the order in which they run."""
    regional_blocks: list[str]
    """Those of them that are looked at by region."""
    media_types: list[str]
    limits: dict[str, int]
