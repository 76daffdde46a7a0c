"""Untrusted bytes to the frames of a clip: mp4, webm and their like, or a zip file of pictures.

Which of them is told by the first bytes, and only the reader of that container is asked: formats
that name other files (play lists, say) are never read. What a file's outline says, how long its
boxes are, is compared with what there is of it, so that one that was cut short is noticed; whatever
a decoder could not make sense of is an error, never a guess. Coded video has no checksums, though:
damage that can be read as other pixels is seen as these. Frames are decoded one at a time,
and those that are kept are resized to a square at once: memory is bounded by what is kept.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import UInt8

from detector.errors import (
    InvalidSpecError,
    SampleError,
    SampleTooLargeError,
    UndecodableSampleError,
    UnsupportedSampleError,
)
from detector.kinds.parsing import coded_pictures, mp4_boxes, webm_elements, zipped_pictures
from models.kinds.clips import square

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg")
_DECODERS = (*CODECS, "libvpx", "libvpx-vp9", "libdav1d", "libaom-av1")
"""FFmpeg's names of what decodes these; no other decoder runs, of sound neither."""
INSTALL = "kind 'video' needs av: pip install 'gatewatch[video]'"
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
_MOST_PACKETS = 100_000  # 512 frames at a stride of 60, as many that are not shown, and to spare
_CUT = "the video is cut short: send all of it"

Frame = UInt8[np.ndarray, "s s 3"]
Limits = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames that are looked at, and when they are: seconds from the first, or their numbers."""

    frames: UInt8[np.ndarray, "t s s 3"]
    times: tuple[float, ...]
    unit: str


def require_av() -> None:
    """Raise InvalidSpecError if PyAV is not installed."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise InvalidSpecError(INSTALL) from error


def read(content: bytes, *, side_px: int, stride: int, limits: Limits) -> Clip:
    """Return every ``stride``-th frame of a file, as a square of ``side_px``.

    Args:
        content: the file.
        side_px: of what is kept of every frame; the aspect ratio is not kept.
        stride: 1 for all frames.
        limits: ``frames`` (kept), ``min_frames``, ``seconds``, ``pixels`` (of a frame),
            ``pixels_in_all`` (of all frames decoded, shown or not), ``zip_bytes`` (unpacked).

    Raises:
        UndecodableSampleError: if it is empty, damaged, cut short or no video.
        UnsupportedSampleError: if its container, codec or something in it is not accepted.
        SampleTooLargeError: if it is over a limit; decoding ends there.
    """
    if not content:
        raise UndecodableSampleError("the video is empty (0 bytes)")
    if content[:2] == b"PK":
        found, unit = _pictures(content, side_px, stride, limits), ""
    elif content[4:8] in _BOXES:
        found, unit = _decoded(content, "mov", side_px, stride, limits), "s"
    elif content[:4] == webm_elements.EBML:
        found, unit = _decoded(content, "matroska", side_px, stride, limits), "s"
    else:
        raise UndecodableSampleError("not a video: send mp4, webm, or a zip file of pictures")
    try:
        frames: list[Frame] = []
        times: list[float] = []
        for frame, time in found:
            if len(frames) == limits["frames"]:
                raise SampleTooLargeError(
                    f"more than {limits['frames']} frames, at every {stride}: send shorter videos, "
                    "or look at fewer frames (view stride)"
                )
            frames.append(frame)
            times.append(time)
    except (SampleError, MemoryError):
        raise
    except Exception as error:  # decoders fed by strangers fail in many ways, all of them theirs
        said = f"{type(error).__name__}: {error}"
        raise UndecodableSampleError(f"the video cannot be decoded: {said}") from error
    if len(frames) < limits["min_frames"]:
        raise UnsupportedSampleError(
            f"{len(frames)} frame(s), at every {stride}: a clip needs {limits['min_frames']}"
        )
    return Clip(np.stack(frames), tuple(time - times[0] for time in times), unit)


def _decoded(
    content: bytes, container: str, side_px: int, stride: int, limits: Limits
) -> Iterator[tuple[Frame, float]]:
    """Yield frames and their times in seconds."""
    try:
        import av
    except ImportError as error:
        raise UnsupportedSampleError(INSTALL) from error
    outline = mp4_boxes if container == "mov" else webm_elements
    if not outline.is_whole(content):
        raise UndecodableSampleError(_CUT)
    if container == "mov":
        mp4_boxes.check_cost(content)
    most = str(int(limits["pixels"]))
    # To open a file is to decode some of it already, of all streams.
    guard = {"codec_whitelist": ",".join(_DECODERS), "max_pixels": most}
    file = io.BytesIO(content)
    with av.open(file, "r", container, options=guard, metadata_errors="ignore") as opened:
        if not opened.streams.video:
            raise UnsupportedSampleError("there is no video in it")
        stream = opened.streams.video[0]
        codec = stream.codec_context
        name = "unknown" if codec is None else codec.codec.canonical_name
        if name not in CODECS:
            raise UnsupportedSampleError(f"codec {name}: send one of {', '.join(CODECS)}")
        _check_size(codec.width, codec.height, limits)
        # What differs from the header's size later is refused where its memory would be taken.
        codec.options = {"err_detect": "explode", "max_pixels": most}
        codec.thread_count = 1
        step = float(1 / (stream.average_rate or Fraction(25)))
        total, time, first = 0, -step, 0.0
        for number, frame in enumerate(_frames(opened, stream, name, limits)):
            if frame.is_corrupt:
                raise UndecodableSampleError(f"frame {number} is damaged: send the video again")
            _check_size(frame.width, frame.height, limits)
            total += frame.width * frame.height
            _check_total(total, limits)
            time = time + step if frame.time is None else float(frame.time)
            first = time if number == 0 else first
            if time - first > limits["seconds"]:
                limit = f"longer than {limits['seconds']} s"
                raise SampleTooLargeError(f"{limit}: send it in parts")
            if number % stride == 0:
                yield _square(frame, side_px), time


def _frames(opened: Any, stream: Any, name: str, limits: Limits) -> Iterator[Any]:
    """Yield frames, each packet paid for before it is decoded: some pictures are never shown."""
    codec, area, total = stream.codec_context, 0, 0
    for number, packet in enumerate(opened.demux(stream)):
        if number > _MOST_PACKETS:
            raise SampleTooLargeError(f"more than {_MOST_PACKETS} packets: send it in parts")
        area = max(area, codec.width * codec.height)
        total += area * coded_pictures.count(bytes(packet), name)
        _check_total(total, limits)
        yield from packet.decode()


def _square(frame: Any, side_px: int) -> Frame:
    """Return an ``av.VideoFrame`` as a square, turned as its rotation says."""
    small = frame.reformat(
        width=side_px, height=side_px, format="rgb24", interpolation="BILINEAR"
    ).to_ndarray()
    return np.ascontiguousarray(np.rot90(small, round(frame.rotation / 90) % 4))


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits["pixels"]:
        raise SampleTooLargeError(
            f"frames of {width} x {height} pixels exceed the limit of {limits['pixels']}: send "
            "them smaller"
        )


def _check_total(total: int, limits: Limits) -> None:
    if total > limits["pixels_in_all"]:
        raise SampleTooLargeError(
            f"its frames have more than {limits['pixels_in_all']} pixels in all: send a shorter "
            "or smaller video"
        )


def _pictures(
    content: bytes, side_px: int, stride: int, limits: Limits
) -> Iterator[tuple[Frame, float]]:
    """Yield the pictures of a zip file and their numbers."""
    found = zipped_pictures.read(
        content,
        most=int(limits["frames"]) * stride,
        pixels=int(limits["pixels"]),
        zip_bytes=int(limits["zip_bytes"]),
    )
    total, size = 0, None
    for number, (name, pixels) in enumerate(found):
        total += pixels.shape[0] * pixels.shape[1]
        _check_total(total, limits)
        size = size or pixels.shape
        if pixels.shape != size:
            raise UnsupportedSampleError(
                f"{name} has another size than the first picture: frames are alike"
            )
        if number % stride == 0:
            yield square(pixels, side_px), float(number)
