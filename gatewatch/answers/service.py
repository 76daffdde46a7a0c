"""The service as a whole."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageHealth:
    """Where one stage of the service stands."""

    calls: int
    """How many of its calls are under way."""
    longest_s: float
    """For how many seconds the oldest of them has been."""
    progress_s_ago: float
    """How long ago it last finished something."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """Whether the process can go on."""

    status: str
    reasons: list[str]
    """Why only another process could; none if it is ok."""


@dataclass(frozen=True, kw_only=True)
class Readiness(Life):
    """Whether an image sent now would be scored."""

    image_s_ago: float | None
    """How long ago an image last went through; null if none ever did."""
    stages: dict[str, StageHealth]


@dataclass(frozen=True, kw_only=True)
class Info:
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
