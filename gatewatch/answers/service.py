"""The service as a whole."""

from dataclasses import dataclass, field


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
class KindInfo:
    """A kind of data that detectors may be of."""

    sample: str
    """What one is called."""
    media_types: list[str]
    """Of a body that is one sample."""
    suffixes: list[str]
    """Of files that are one sample."""
    pairs: bool = False
    """Whether a file and a text may be one sample: `texts` beside `images`, a.txt beside a.jpg."""
    limits: dict[str, float]
    """What one sample may have; of images see the service's own."""
    view: dict[str, bool | int | float | str]
    """How samples are looked at unless told otherwise; none of images."""
    missing: str
    """What to install before such a detector can be created; empty if nothing is missing."""


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
    """Of images."""
    kinds: dict[str, KindInfo] = field(default_factory=dict)
    """What samples may be; none of a server that knows images alone."""
    limits: dict[str, int]
