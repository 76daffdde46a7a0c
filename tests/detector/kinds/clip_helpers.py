"""Small clips, as files of every container that is read."""

import io
import zipfile

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.kinds.video import Video
from models.plan import Plan

Frames = NDArray[np.uint8]


class Quick(Video):
    """The kind, with three steps of training."""

    plan = Plan(steps=3, rounds=1, batch=4)


def moving(frames: int = 12, seed: int = 0, height: int = 32, width: int = 48) -> Frames:
    """A bright square that goes to the right over a dark ground with a little noise."""
    rng = np.random.default_rng(seed)
    clip = rng.integers(20, 40, (frames, height, width, 3), dtype=np.uint8)
    top, speed = int(rng.integers(4, height - 12)), int(rng.integers(1, 3))
    for at in range(frames):
        left = (4 + speed * at) % (width - 8)
        clip[at, top : top + 8, left : left + 8] = (200, 120, 60)
    return clip


def encoded(frames: Frames, container: str = "mp4", codec: str = "mpeg4", rate: int = 10) -> bytes:
    """A file of the frames."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as opened:
        stream = opened.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 1_000_000
        stream.codec_context.thread_count = 1
        for frame in frames:
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        opened.mux(stream.encode())
    return file.getvalue()


def png(frame: Frames) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG")
    return file.getvalue()


def zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def pictures(frames: Frames) -> dict[str, bytes]:
    """Members named as people do: frame2 comes before frame10."""
    return {f"take/frame{at}.png": png(frame) for at, frame in enumerate(frames)}
