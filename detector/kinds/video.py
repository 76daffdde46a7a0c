"""Video clips: a network learns at which pace of time normal clips are shown, and how things move.

A file is one sample, and all of it is looked at, every ``stride``-th frame: nothing is left out
unsaid, and a file with more than the limit of such frames is refused. ``frames`` is how many the
network learns from at once: each step of training cuts that many out of each clip, anywhere.

The task and the rows were chosen on ``discs``, the hardest of the generated sets of
``benchmarks.kinds.video`` (120 normal clips, 140 to score), by AUROC: frame-difference statistics
0.79; this network untrained 0.82; trained to tell the pace of time 0.86 (one seed; 0.87 with
``normalise = zscore``). A forerunner of it, untrained, trained to foresee the next frame, and
trained to tell the pace, had 0.83, 0.81 and 0.87, and its stages alone 0.61, 0.73 and 0.84. On
``conveyor`` the network separates all untrained, where the differences have 0.90: they cannot
tell which way things move. A thing of several that turns back stays unseen (0.49), by any.
The six ways of the task hold some of that benchmark's anomalies (backwards, fast, a pause).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8
from torch import nn

from detector.errors import DegenerateDataError, InvalidSpecError
from detector.kinds.kind import Axis, LearnedKind, Located, Shares
from detector.kinds.parsing import video_files
from detector.kinds.parsing.video_files import Clip
from detector.kinds.pictures.filmstrip import filmstrip
from models.kinds.clips import MIN_FRAMES, ClipPreparation, channel_statistics
from models.kinds.video_learning import ClipNetwork, PaceOfTime
from models.plan import Plan
from models.self_supervision import Task

_MOST_SIDE, _MOST_STRIDE, _MOST_PENALTY = 112, 60, 1000.0


@dataclass(frozen=True, slots=True)
class VideoView:
    """How clips are looked at.

    Attributes:
        side_px: every frame becomes a square of this side; a multiple of 8.
        frames: how many the network learns from at once.
        stride: every how many-th frame is looked at.
        penalty: lambda, how much a change of a gate from frame to frame costs
            (``models.smoothing``).

    Raises:
        InvalidSpecError: if one is out of range.
    """

    side_px: int = 64
    frames: int = 16
    stride: int = 1
    penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 16 <= self.side_px <= _MOST_SIDE or self.side_px % 8:
            raise InvalidSpecError(
                f"side_px must be a multiple of 8 in 16..{_MOST_SIDE}, got {self.side_px}"
            )
        if not 8 <= self.frames <= 64:
            raise InvalidSpecError(f"frames must be in 8..64, got {self.frames}")
        if not 1 <= self.stride <= _MOST_STRIDE:
            raise InvalidSpecError(f"stride must be in 1..{_MOST_STRIDE}, got {self.stride}")
        if not 0 <= self.penalty <= _MOST_PENALTY:
            raise InvalidSpecError(f"penalty must be in 0..{_MOST_PENALTY}, got {self.penalty}")


class Video(LearnedKind[Clip, VideoView]):
    """One clip."""

    name = "video"
    sample = "video"
    media_types = ("video/mp4", "video/webm", "video/quicktime")
    suffixes = (".mp4", ".webm", ".mov", ".zip")
    archives = True
    limits: ClassVar[Mapping[str, int]] = {
        "frames": 512,
        "min_frames": MIN_FRAMES,
        "seconds": 600,
        "pixels": 4096 * 2304,
        "pixels_in_all": 2**31,
        "zip_bytes": 2**28,
    }
    View = VideoView
    most_samples = 200
    plan = Plan(batch=8, steps=50, rounds=4, patience=2)  # as measured
    located_always = True

    def require_installed(self) -> None:
        """Raise InvalidSpecError if PyAV is not installed."""
        video_files.require_av()

    def decode(self, content: bytes, view: VideoView) -> Clip:
        """Return the frames that are looked at. Raises as ``video_files.read``."""
        return video_files.read(
            content, side_px=view.side_px, stride=view.stride, limits=self.limits
        )

    def settings(self, samples: Sequence[Clip], view: VideoView) -> dict[str, Any]:
        """Return mean and deviation of the colours. Raises DegenerateDataError if all is still."""
        if all((clip.frames == clip.frames[:1]).all() for clip in samples):
            raise DegenerateDataError("nothing moves in any of the videos: no motion to learn")
        mean, deviation = channel_statistics([clip.frames for clip in samples])
        return {"mean": list(mean), "deviation": list(deviation)}

    def network(
        self, view: VideoView, settings: Mapping[str, Any]
    ) -> tuple[nn.Module, "_Preparation"]:
        """Return the network with its preparation."""
        (r, g, b), (dr, dg, db) = settings["mean"], settings["deviation"]
        preparation = _Preparation(view.side_px, (r, g, b), (dr, dg, db))
        return ClipNetwork(penalty=view.penalty), preparation

    def task(self, network: nn.Module, view: VideoView, settings: Mapping[str, Any]) -> Task:
        """Return the question at which pace a clip is shown."""
        assert isinstance(network, ClipNetwork)
        return PaceOfTime(network, view.frames)

    def locate(self, sample: Clip, view: VideoView, shares: Shares) -> tuple[Located, ...]:
        """Return every frame's share: the sum over its pixels, and over all blocks."""
        values = sum(
            (share.reshape(len(share), -1).sum(axis=1) for share in shares.values()),
            start=np.zeros(len(sample.times)),
        )
        name = "time" if sample.unit else "frame"
        return (Located("frames", (Axis(name, sample.unit, sample.times),), values),)

    def picture(
        self,
        sample: Clip,
        view: VideoView,
        located: Sequence[Located],
        threshold: float | None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return some frames above the curve of all of them."""
        return filmstrip(sample.frames, sample.times, sample.unit, located[0].values, threshold)


class _Preparation(ClipPreparation):
    """A clip's frames are what is prepared of it."""

    __slots__ = ()

    def prepare(self, sample: Clip) -> UInt8[np.ndarray, "t s s 3"]:  # type: ignore[override]
        """Return the frames."""
        return super().prepare(sample.frames)


KIND = Video()
