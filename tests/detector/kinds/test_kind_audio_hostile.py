"""Kind audio: what strangers send instead of clips, or of whole ones, is refused."""

import numpy as np
import pytest
from audio_helpers import VIEW, WHOLE, file_of, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import (
    SampleError,
    SampleTooLargeError,
    UndecodableSampleError,
    UnsupportedSampleError,
)
from detector.kinds.audio import KIND


def claims(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + value.to_bytes(4, "little") + content[at + 4 :]


def chunks(count: int) -> bytes:
    """The WAV with chunks of notes before its sound."""
    return WHOLE["wav"][:36] + b"note\4\0\0\0abcd" * count + WHOLE["wav"][36:]


def streamed(flac: bytes) -> bytes:
    """The FLAC as it is where its length and its sum were not known when its header was written.

    Source: RFC 9639, section 8.2: 36 bits of samples, and 128 of their MD5, all 0.
    """
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(20) + flac[42:]


NAN = np.full(4000, 0.1, np.float32)
NAN[77] = np.nan
INFINITE = np.where(np.isnan(NAN), np.inf, NAN)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", UndecodableSampleError, "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), UnsupportedSampleError, "send WAV"),
        (file_of(tone(0), kind="AIFF"), UnsupportedSampleError, "send WAV"),
        (file_of(tone(0), subtype="MS_ADPCM"), UnsupportedSampleError, "MS_ADPCM"),
        (file_of(tone(0), 2000), UnsupportedSampleError, "4000 to 192000"),
        (file_of(tone(0), 384_000), UnsupportedSampleError, "4000 to 192000"),
        (file_of(np.zeros((4000, 17))), SampleTooLargeError, "17 channels: send 16"),
        (file_of(np.zeros(31 * 4000), 4000), SampleTooLargeError, "more than 30 s"),
        (file_of(np.zeros(31 * 4000), 4000, "FLAC"), SampleTooLargeError, "more than 30 s"),
        (
            file_of(np.zeros(31 * 8000), 8000, "OGG", "VORBIS"),
            SampleTooLargeError,
            "more than 30 s",
        ),
        (file_of(np.zeros(0)), UndecodableSampleError, "0.000 s"),
        (file_of(np.zeros(1000)), UndecodableSampleError, "0.1 s or more"),
        (file_of(NAN, subtype="FLOAT"), UndecodableSampleError, "NaN"),
        (file_of(INFINITE, subtype="FLOAT"), UndecodableSampleError, "infinity"),
        (file_of(NAN * 0 + 1e30, subtype="DOUBLE"), UndecodableSampleError, "1e\\+06 times"),
        (claims(WHOLE["wav"], 40, 10**9), UndecodableSampleError, "of 1000000000 bytes"),
        (claims(WHOLE["wav"], 40, 0), UndecodableSampleError, "truncated.* 0 bytes of sound"),
        (chunks(1001), UnsupportedSampleError, "more than 1000 chunks"),
        (WHOLE["vorbis"] + WHOLE["vorbis"], UnsupportedSampleError, "several Ogg streams"),
        (WHOLE["vorbis"] + WHOLE["opus"], UnsupportedSampleError, "several Ogg streams"),
        (WHOLE["wav"][:36], UndecodableSampleError, "truncated"),
    ],
)
def test_what_is_no_clip_is_refused(content: bytes, error: type[SampleError], message: str) -> None:
    """Contract: the error says what is wrong, or what to send."""
    with pytest.raises(error, match=message):
        KIND.decode(content, VIEW)


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_files_are_refused(form: str, kept: float) -> None:
    """Contract: no part of a clip passes for the clip."""
    with pytest.raises(UndecodableSampleError):
        KIND.decode(WHOLE[form][: int(len(WHOLE[form]) * kept)], VIEW)


def test_a_wav_that_was_streamed_is_read() -> None:
    """Contract: a length that was not known when the header was written is no lie."""
    streamed = claims(claims(WHOLE["wav"], 4, 0xFFFFFFFF), 40, 0xFFFFFFFF)

    np.testing.assert_array_equal(KIND.decode(streamed, VIEW), KIND.decode(WHOLE["wav"], VIEW))


def test_a_flac_that_was_streamed_is_read() -> None:
    """Contract: all of it, counted while it is read; and too much or too little of it is not."""
    np.testing.assert_array_equal(
        KIND.decode(streamed(WHOLE["flac"]), VIEW), KIND.decode(WHOLE["flac"], VIEW)
    )
    long = streamed(file_of(np.zeros(31 * 4000), 4000, "FLAC"))
    with pytest.raises(SampleTooLargeError, match="more than 30 s"):
        KIND.decode(long, VIEW)
    for kept in (0.4, 0.9):
        cut = streamed(WHOLE["flac"])[: int(len(WHOLE["flac"]) * kept)]
        with pytest.raises(UndecodableSampleError):
            KIND.decode(cut, VIEW)


def test_a_wav_with_notes_is_read() -> None:
    """Contract: chunks before the sound are passed over."""
    np.testing.assert_array_equal(KIND.decode(chunks(9), VIEW), KIND.decode(WHOLE["wav"], VIEW))


@settings(max_examples=150)
@given(
    form=st.sampled_from(sorted(WHOLE)),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    head=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_hostile_bytes(
    form: str, flips: list[tuple[float, int]], head: list[tuple[int, int]], kept: float
) -> None:
    """Property: of any bytes, a finite waveform within the limits, or an error of a sample."""
    content = bytearray(WHOLE[form])
    for place, value in flips:
        content[int(place * (len(content) - 1))] = value
    for at, value in head:
        content[at] = value
    try:
        decoded = KIND.decode(bytes(content[: int(len(content) * kept)]), VIEW)
    except SampleError as error:
        said = str(error)
    else:
        said = "read"
        assert np.isfinite(decoded).all()
        assert 0.1 * VIEW.rate_hz <= len(decoded) <= 30.001 * VIEW.rate_hz
    assert said
    assert "object at" not in said
