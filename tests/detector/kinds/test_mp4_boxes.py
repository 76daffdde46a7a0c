"""What an mp4 file claims is counted before FFmpeg makes an index of it, wherever it stands."""

import contextlib
import io
import struct
from collections.abc import Callable

import av
import pytest
from clip_helpers import Quick, encoded, moving
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import (
    SampleError,
    SampleTooLargeError,
    UndecodableSampleError,
    UnsupportedSampleError,
)
from detector.kinds.parsing.mp4_boxes import MOST_ENTRIES, check_cost

KIND = Quick()
VIEW = KIND.view({"side_px": 16})
MP4 = encoded(moving(10), "mp4", "libx264")
MANY = 20_000_000


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def claim(kind: bytes, at: int, *values: int) -> bytes:
    """The file with other numbers in a box's body."""
    start = MP4.index(kind) + 4 + at
    return MP4[:start] + numbers(*values) + MP4[start + 4 * len(values) :]


def sound(samples: int, chunks: int, *, described: bytes = b"sowt", handler: bytes = b"soun",
          sizes: bool = True) -> bytes:  # fmt: skip
    """A track of plain sound, as cameras write it: each sample has a number of its own."""
    tables = [
        box(b"stsd", numbers(0, 1), box(described, bytes(28))),
        box(b"stts", numbers(0, 1, samples * chunks, 1)),
        box(b"stsc", numbers(0, 1, 1, samples, 1)),
        box(b"stco", numbers(0, chunks), bytes(4 * chunks)),
    ]
    if sizes:
        tables.append(box(b"stsz", numbers(0, 1, samples * chunks)))
    told = box(b"hdlr", numbers(0, 0), handler, bytes(13))
    return box(b"trak", box(b"mdia", told, box(b"minf", box(b"stbl", *tables))))


SIZES = box(b"stz2", numbers(0, 0, MANY))  # of 0 bits each
TRUN = box(b"trun", numbers(1, MANY, 0))


def test_a_table_of_one_size_is_not_believed() -> None:
    """Contract: 20 bytes that claim 20 million frames end before FFmpeg reads them."""
    with pytest.raises(UndecodableSampleError, match="more bytes of samples"):
        KIND.decode(claim(b"stsz", 4, 1, MANY), VIEW)


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda: claim(b"stsz", 8, 5000), UndecodableSampleError, "stsz is cut short"),
        (lambda: claim(b"stts", 4, 5000), UndecodableSampleError, "stts is cut short"),
        (lambda: claim(b"ctts", 4, 5000), UndecodableSampleError, "ctts is cut short"),
        (lambda: claim(b"stsc", 4, 5000), UndecodableSampleError, "stsc is cut short"),
        (lambda: claim(b"stco", 4, 5000), UndecodableSampleError, "stco is cut short"),
        (lambda: MP4 + box(b"moof", box(b"traf", TRUN)), SampleTooLargeError, "claims more"),
        (lambda: MP4 + box(b"moov", SIZES), SampleTooLargeError, "claims more"),
        (lambda: MP4 + box(b"moov", box(b"udta", SIZES)), SampleTooLargeError, "claims more"),
        (
            lambda: MP4 + box(b"moov", box(b"meta", bytes(4), box(b"hdlr", bytes(24)), SIZES)),
            SampleTooLargeError,
            "claims more",
        ),
        (
            lambda: MP4 + box(b"free", box(b"mvhd", bytes(100)), SIZES),
            SampleTooLargeError,
            "claims more",
        ),
        (
            lambda: MP4 + box(b"moov", box(b"trak", box(b"stsd", SIZES))),
            UnsupportedSampleError,
            "where none belong",
        ),
        (lambda: MP4 + box(b"moov", box(b"cmov", bytes(9))), UnsupportedSampleError, "compressed"),
        (lambda: MP4 + box(b"moov", *[box(b"free")] * 1001), SampleTooLargeError, "1000 boxes"),
        (lambda: MP4 + box(b"free") * 100_001, SampleTooLargeError, "100000 boxes"),
    ],
)
def test_claims_are_refused(
    spoil: Callable[[], bytes], error: type[SampleError], said: str
) -> None:
    """Contract: each with the error that says why."""
    with pytest.raises(error, match=said):
        KIND.decode(spoil(), VIEW)


def test_boxes_in_boxes_end() -> None:
    """Contract: no depth of boxes exhausts the stack."""
    deep = b""
    for _ in range(5000):
        deep = box(b"moov", deep)
    with pytest.raises(UndecodableSampleError, match="too deep"):
        check_cost(deep)


def test_edits_show_frames_again() -> None:
    """Law: entries are samples times edits."""
    at = MP4.index(b"edts") - 4
    length = int.from_bytes(MP4[at : at + 4])
    for edits, fits in ((MOST_ENTRIES // 10, True), (MOST_ENTRIES // 10 + 1, False)):
        spoilt = MP4[:at] + box(b"free", bytes(length - 8)) + MP4[at + length :]
        trak = spoilt.index(b"trak") - 4
        size = int.from_bytes(spoilt[trak : trak + 4])
        listed = box(b"elst", numbers(0, edits))
        spoilt = (
            spoilt[:trak]
            + numbers(size + len(listed))
            + spoilt[trak + 4 : trak + size]
            + listed
            + spoilt[trak + size :]
        )
        if fits:
            check_cost(spoilt)
        else:
            with pytest.raises(SampleTooLargeError):
                check_cost(spoilt)


def test_plain_sound_counts_by_its_chunks() -> None:
    """Contract: ten minutes of a camera's 48 000 samples a second are no bomb; what is, is."""
    room = bytes(600 * 48_000)  # of one byte a sample, as its table says
    check_cost(box(b"moov", sound(24_000, 1200)) + box(b"mdat", room))
    for track in (
        sound(24_000, 1200, described=b"mp4a"),  # not plain: each is an entry
        sound(24_000, 1200, handler=b"vide"),
        sound(2_000_000, 1000, sizes=False),  # FFmpeg goes by chunks, without sizes
    ):
        with pytest.raises(SampleTooLargeError, match="claims more"):
            check_cost(box(b"moov", track) + box(b"mdat", room))


def test_fragments_of_many_tracks_count() -> None:
    """Contract: FFmpeg keeps a note of each track for each fragment."""
    tracks = box(b"moov", *[box(b"trak")] * 900)
    check_cost(tracks + box(b"moof") * 1000)
    with pytest.raises(SampleTooLargeError, match="claims more"):
        check_cost(tracks + box(b"moof") * 1200)


def test_a_video_in_fragments_is_read() -> None:
    """Contract: as a browser records it."""
    file = io.BytesIO()
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(file, "w", format="mp4", options=flags) as opened:
        stream = opened.add_stream("libx264", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for frame in moving(10):
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        opened.mux(stream.encode())
    content = file.getvalue()
    assert len(KIND.decode(content, VIEW).frames) == 10
    at = content.index(b"trun") + 4
    with pytest.raises(SampleTooLargeError, match="claims more"):
        KIND.decode(content[:at] + numbers(1, MANY) + content[at + 8 :], VIEW)


@given(st.data())
def test_hostile_boxes(data: st.DataObject) -> None:
    """Property: whatever the header's bytes, an end or an error of a sample."""
    content = bytearray(MP4[MP4.index(b"moov") - 4 :])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 5))
        content[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    with contextlib.suppress(SampleError):
        check_cost(bytes(content))
