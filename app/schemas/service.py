"""The service as a whole."""

import math
import time
from dataclasses import asdict
from typing import Literal, TypeVar

from fastapi import Response

from app.health.state import Health
from app.schemas.base import Body, WholeNumber
from app.schemas.new_detector import View
from detector.errors import InvalidSpecError
from detector.kinds import Kind, LearnedKind


class StageHealth(Body):
    """Where one stage of the service stands."""

    calls: WholeNumber
    """How many of its calls are under way."""
    longest_s: float
    """For how many seconds the oldest of them has been."""
    progress_s_ago: float
    """How long ago it last finished something."""


class Life(Body):
    """Whether the process can go on."""

    status: Literal["ok", "unavailable"]
    reasons: list[str]
    """Why only another process could; none if it is ok."""

    @classmethod
    def of(cls, health: Health) -> "Life":
        """Return what a liveness probe is answered."""
        reasons = health.why_not_alive()
        return cls(status="unavailable" if reasons else "ok", reasons=reasons)


class Readiness(Life):
    """Whether an image sent now would be scored."""

    image_s_ago: float | None
    """How long ago an image last went through; null if none ever did."""
    stages: dict[str, StageHealth]

    @classmethod
    def of(cls, health: Health) -> "Readiness":
        """Return what a readiness probe is answered."""
        reasons = health.why_not_ready()
        now = time.time()
        return cls(
            status="unavailable" if reasons else "ok",
            reasons=reasons,
            image_s_ago=None if math.isinf(health.age_s) else round(health.age_s, 3),
            stages={
                stage.name: StageHealth(
                    calls=stage.calls,
                    longest_s=round(stage.longest_s, 3),
                    progress_s_ago=round(max(0.0, now - stage.progress_at), 3),
                )
                for stage in health.heartbeats.stages
            },
        )


L = TypeVar("L", bound=Life)


def answered(life: L, response: Response) -> L:
    """Return what a probe is answered, its status set: 503 unless all is well."""
    response.status_code = 200 if life.status == "ok" else 503
    return life


class KindInfo(Body):
    """A kind of data that detectors may be of."""

    sample: str
    """What one is called."""
    media_types: list[str]
    """Of a body that is one sample."""
    suffixes: list[str]
    """Of files that are one sample."""
    pairs: bool
    """Whether a file and a text may be one sample: `texts` beside `images`, a.txt beside a.jpg."""
    limits: dict[str, float]
    """What one sample may have; of images see the service's own."""
    view: dict[str, View]
    """How samples are looked at unless told otherwise; none of images."""
    missing: str
    """What to install before such a detector can be created; empty if nothing is missing."""

    @classmethod
    def of(cls, kind: Kind) -> "KindInfo":
        """Return what there is to know of a kind."""
        view, missing = {}, ""
        if isinstance(kind, LearnedKind):
            view = asdict(kind.view({}))
            try:
                kind.require_installed()
            except InvalidSpecError as error:
                missing = str(error)
        return cls(
            sample=kind.sample,
            media_types=[*kind.media_types],
            suffixes=[*kind.suffixes],
            pairs=kind.pairs,
            limits=dict(kind.limits),
            view=view,
            missing=missing,
        )


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
    """Of images."""
    kinds: dict[str, KindInfo]
    """What samples may be."""
    limits: dict[str, int]
