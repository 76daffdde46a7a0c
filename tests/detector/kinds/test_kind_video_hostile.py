"""Videos of strangers: damage, lies and bombs end in an error of the sample, never in another."""

import io
import struct
import zipfile
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from clip_helpers import Quick, encoded, moving, pictures, png, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import (
    SampleError,
    SampleTooLargeError,
    UnsupportedSampleError,
)
from detector.kinds.parsing import coded_pictures, video_files
from detector.kinds.parsing.video_files import read

KIND = Quick()
VIEW = KIND.view({"side_px": 16})
MP4 = encoded(moving(10), "mp4", "libx264")
MPEG4 = encoded(moving(10), "mp4", "mpeg4")
WEBM = encoded(moving(10), "webm", "libvpx")
ZIP = zipped(pictures(moving(6)))
FILES = {"mp4": MP4, "webm": WEBM, "zip": ZIP}


def limited(content: bytes, *, stride: int = 1, **limits: int) -> int:
    """How many frames are read under other limits."""
    clip = read(content, side_px=16, stride=stride, limits={**KIND.limits, **limits})
    return len(clip.frames)


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_read(name: str) -> None:
    """Contract: what the others damage is sound."""
    assert len(KIND.decode(FILES[name], VIEW).frames) >= 6


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40)
@given(data=st.data())
def test_flipped_bits_end_in_errors_of_samples(name: str, data: st.DataObject) -> None:
    """Property: whatever the bytes, frames or a ``SampleError``; the same for the same bytes."""
    content = bytearray(FILES[name])
    at = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(at, min_size=1, max_size=12)):
        content[place] ^= data.draw(st.integers(1, 255))
    assert _outcome(bytes(content)) == _outcome(bytes(content))


def _outcome(content: bytes) -> object:
    try:
        return KIND.decode(content, VIEW).frames.tobytes()
    except SampleError as error:
        return type(error)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_file_that_is_cut_short_is_an_error(name: str, data: st.DataObject) -> None:
    """Property: no beginning of a file is taken for a shorter video."""
    end = data.draw(st.integers(0, len(FILES[name]) - 1))
    with pytest.raises(SampleError):
        KIND.decode(FILES[name][:end], VIEW)


@settings(max_examples=60)
@given(
    st.sampled_from([b"", b"PK\3\4", b"\0\0\0\x18ftyp", b"\x1aE\xdf\xa3", b"#EXTM3U\n"]),
    st.binary(max_size=200),
)
def test_noise_is_no_video(head: bytes, tail: bytes) -> None:
    """Property: bytes that begin like a container, or like a play list, are refused."""
    with pytest.raises(SampleError):
        KIND.decode(head + tail, VIEW)


@pytest.mark.parametrize("content", [MP4, MPEG4, ZIP], ids=["h264", "mpeg4", "zip"])
def test_damage_in_the_middle_is_an_error(content: bytes) -> None:
    """Contract: a frame that cannot be decoded is not passed over.

    A zip file has checksums, so that what is read of it is what was packed. Coded video has none:
    damage that reads as other pixels stays; but each frame is there, at its time.
    """
    whole = KIND.decode(content, VIEW)
    first = content.index(b"mdat") + 4 if b"mdat" in content else 0
    refused = 0
    for place in range(first, len(content) - 2000, 150):
        spoilt = bytes(v ^ 0x5A for v in content[place : place + 64])
        try:
            clip = KIND.decode(content[:place] + spoilt + content[place + 64 :], VIEW)
        except SampleError:
            refused += 1
        else:
            assert clip.times == whole.times
            if content == ZIP:
                np.testing.assert_array_equal(clip.frames, whole.frames)
    assert refused


def test_hidden_pictures_are_paid_for() -> None:
    """Contract: VP8 pictures that are never shown count; nobody else would see them."""
    file = io.BytesIO()
    with av.open(io.BytesIO(WEBM), "r") as source, av.open(file, "w", format="webm") as opened:
        stream = source.streams.video[0]
        copied = opened.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        last = bytes(packets[-1])
        hidden = bytes([last[0] & ~0x10]) + last[1:]  # show_frame, RFC 6386, section 9.1
        for time, content in enumerate([*map(bytes, packets), *[hidden] * 30]):
            packet = av.Packet(content)
            packet.pts = packet.dts = 100 * time
            packet.time_base, packet.stream = Fraction(1, 1000), copied
            packet.is_keyframe = time == 0
            opened.mux(packet)
    assert limited(file.getvalue(), pixels_in_all=32 * 48 * 40) == 10
    with pytest.raises(SampleTooLargeError, match="in all"):
        limited(file.getvalue(), pixels_in_all=32 * 48 * 39)


@pytest.mark.parametrize(
    ("packet", "codec", "wanted"),
    [
        (b"", "av1", 0),
        (b"\x00", "h264", 1),
        (b"\x00\xc3", "vp9", 4),
        (b"\x00\x23", "vp9", 1),
        (b"\x12\x00\x32\x01\x00\x1a\x81\x00\x00\x30\x00", "av1", 3),
        (b"\x12\x00", "av1", 1),
        (b"\x36\x00\x02\x00\x00" * 4, "av1", 4),
        (b"\x32" + b"\xff" * 9, "av1", 1),
    ],
)
def test_pictures_of_a_packet_are_counted(packet: bytes, codec: str, wanted: int) -> None:
    """Reference: superframes and units written by hand from the formats' specifications."""
    assert coded_pictures.count(packet, codec) == wanted


def test_too_many_packets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: pictures of a few pixels cost their packets."""
    monkeypatch.setattr(video_files, "_MOST_PACKETS", 5)
    with pytest.raises(SampleTooLargeError, match="more than 5 packets"):
        KIND.decode(MP4, VIEW)


def test_no_other_decoder_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: what opening a file decodes of it is by the codecs that are read, and bounded."""
    asked: list[dict[str, str]] = []
    real = av.open

    def spy(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs["options"])
        return real(*args, **kwargs)

    monkeypatch.setattr(av, "open", spy)
    assert len(KIND.decode(MP4, VIEW).frames) == 10
    allowed = asked[0]["codec_whitelist"].split(",")
    assert {"h264", "libdav1d", "libvpx-vp9"} < set(allowed)
    canonical = {av.Codec(n, "r").canonical_name for n in allowed if n in av.codecs_available}
    assert canonical == set(video_files.CODECS)
    assert asked[0]["max_pixels"] == str(KIND.limits["pixels"])


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"frames": 5}, "more than 5 frames"),
        ({"seconds": 0}, "longer than 0 s"),
        ({"pixels": 100}, "exceed the limit of 100"),
        ({"pixels_in_all": 32 * 48 * 4}, "in all"),
    ],
)
@pytest.mark.parametrize("content", [MP4, WEBM])
def test_limits_of_videos(content: bytes, limits: dict[str, int], said: str) -> None:
    """Contract: too much is refused, saying of what and how much is allowed."""
    with pytest.raises(SampleTooLargeError, match=said):
        limited(content, **limits)


def test_a_stride_brings_long_videos_within_the_limit() -> None:
    """Law: what counts is the frames that are kept."""
    assert limited(MP4, stride=2, frames=5) == 5


def test_too_few_frames_are_refused() -> None:
    """Contract: no motion can be seen in three frames."""
    with pytest.raises(UnsupportedSampleError, match=r"3 frame\(s\).*needs 4"):
        KIND.decode(encoded(moving(3)), VIEW)


def test_a_header_that_lies_about_its_size_is_not_believed() -> None:
    """Contract: a size that the container claims, and the frames do not have, changes nothing."""
    at = MP4.index(b"avc1", MP4.index(b"stsd")) + 4 + 24
    huge = MP4[:at] + struct.pack(">HH", 65000, 65000) + MP4[at + 4 :]
    np.testing.assert_array_equal(KIND.decode(huge, VIEW).frames, KIND.decode(MP4, VIEW).frames)


def test_other_codecs_and_no_video_are_refused() -> None:
    """Contract: the message names the codecs that are read."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as opened:
        stream = opened.add_stream("aac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    with pytest.raises(UnsupportedSampleError, match="no video"):
        KIND.decode(file.getvalue(), VIEW)
    with pytest.raises(UnsupportedSampleError, match="one of h264"):
        KIND.decode(encoded(moving(6), "mov", "rawvideo"), VIEW)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: m | {"take/notes.txt": b"hello"}, "notes.txt"),
        (lambda m: m | {"take/more.zip": zipped(dict(m))}, "more.zip"),
        (lambda m: m | {"take/clip.mp4": MP4}, "clip.mp4"),
        (lambda m: m | {"take/small.png": png(np.zeros((9, 9, 3), np.uint8))}, "another size"),
        (lambda m: {}, "needs 4"),
    ],
)
def test_zips_of_other_things_are_refused(
    spoil: Callable[[dict[str, bytes]], dict[str, bytes]], said: str
) -> None:
    """Contract: the member is named; archives in archives are no pictures."""
    with pytest.raises(SampleError, match=said):
        KIND.decode(zipped(spoil(pictures(moving(5)))), VIEW)


def test_zip_bombs_are_refused() -> None:
    """Contract: by what unpacks, by how many members, and by pixels; headers are not believed."""
    bomb = zipped({f"{at}.png": bytes(2**21) for at in range(8)})
    with pytest.raises(SampleTooLargeError, match="unpacks to too much"):
        limited(bomb, zip_bytes=2**20)
    many = zipped({f"{at}.png": b"" for at in range(2000)}, zipfile.ZIP_STORED)
    with pytest.raises(SampleTooLargeError, match="more than"):
        limited(many, frames=8)
    with pytest.raises(SampleTooLargeError, match="more than 5 frames"):
        limited(ZIP, frames=5)
    with pytest.raises(SampleTooLargeError, match="in all"):
        limited(ZIP, pixels_in_all=5000)


def test_links_secrets_and_twins_are_refused() -> None:
    """Contract: what no packer of pictures makes unasked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsupportedSampleError, match="is a link"):
        KIND.decode(file.getvalue(), VIEW)
    entry = ZIP.index(b"PK\1\2")
    secret = bytearray(ZIP)
    secret[entry + 8] |= 1
    with pytest.raises(UnsupportedSampleError, match="encrypted"):
        KIND.decode(bytes(secret), VIEW)
    members = {"a1.png": png(moving(1)[0]), "a2.png": png(moving(1)[0])}
    with pytest.raises(UnsupportedSampleError, match="twice"):
        KIND.decode(zipped(members).replace(b"a2.png", b"a1.png"), VIEW)
