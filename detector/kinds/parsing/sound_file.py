"""Sound files of strangers: WAV, FLAC or Ogg bytes to one channel of samples, within limits.

What is claimed is checked before it is read, and what is read is bounded by the limits whatever was
claimed: block by block, each at once brought to one channel, the mean of all. A file that ends
before it should is refused: its end is what might have been odd.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from detector.errors import SampleTooLargeError, UndecodableSampleError, UnsupportedSampleError

ADVICE = "kind 'audio' needs soundfile: pip install 'gatewatch[audio]'"
FORMATS = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
}
"""Format -> encodings, by libsndfile's names; what few people use is left alone."""
_MAGIC = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG"}
_KNOWN = "send WAV (PCM, float or G.711), FLAC, or Ogg with Vorbis or Opus"
_BLOCK = 1 << 16
_UNKNOWN_BYTES = 0x7FFF0000
"""From here on the length of a WAV's data says that it was not known when the header was."""
_MOST_CHUNKS = 1000
LOUDEST = 1e6
"""Greatest value of a sample, full scale being 1: floating point may say anything."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may have; all ends belong to it."""

    least_s: float
    most_s: float
    least_hz: int
    most_hz: int
    channels: int


def read(content: bytes, bounds: Bounds) -> tuple[Float[np.ndarray, " t"], int]:
    """Return the samples of one channel, float64, full scale being 1, and their rate in Hz.

    Thread-safe.

    Raises:
        UndecodableSampleError: if the file is empty, truncated, damaged, too short, or holds
            numbers that are no sound.
        UnsupportedSampleError: if the format, encoding or rate is not accepted, or soundfile is
            not installed.
        SampleTooLargeError: if it lasts too long or has too many channels.
    """
    try:
        import soundfile
    except ImportError as error:
        raise UnsupportedSampleError(ADVICE) from error
    if not content:
        raise UndecodableSampleError("the file is empty")
    if content[:4] not in _MAGIC:
        raise UnsupportedSampleError(f"it is no sound file that is read here: {_KNOWN}")
    _require_whole(content)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _require_supported(file, bounds)
            parts = list(_blocks(file, bounds))
            claimed, rate_hz = 0 if _is_unknown(file) else file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise UndecodableSampleError(f"it cannot be read: {error.error_string}") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError, AssertionError) as error:
        raise UndecodableSampleError("it cannot be read: the file is damaged") from error
    samples = np.concatenate(parts) if parts else np.zeros(0)
    if len(samples) < claimed:
        raise _truncated(f"{len(samples)} of {claimed} samples are there")
    if len(samples) < bounds.least_s * rate_hz:
        raise UndecodableSampleError(
            f"it lasts {len(samples) / rate_hz:.3f} s: {bounds.least_s:g} s or more are needed"
        )
    return samples, rate_hz


def _require_whole(content: bytes) -> None:
    """Refuse a WAV or Ogg file that has no end; the reader takes what there is for all."""
    if content[:4] == b"OggS":
        last = content.rfind(b"OggS")
        page = content[last:]
        whole = len(page) > 26 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
        if not whole or not page[5] & 4:  # the flag of a stream's last page, RFC 3533, section 6
            raise _truncated("its last page is missing")
        if _is_chained(content):
            raise UnsupportedSampleError("it is several Ogg streams, one after another: send one")
    if content[:4] == b"RIFF":
        _require_whole_wav(content)


def _require_whole_wav(content: bytes) -> None:
    at = 12
    for _ in range(_MOST_CHUNKS):
        if content[at : at + 4] == b"data":
            break
        if at + 8 > len(content):
            raise _truncated("it has no data")
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + size + size % 2  # chunks begin at even places
    else:
        raise UnsupportedSampleError(f"it has more than {_MOST_CHUNKS} chunks before its sound")
    size = int.from_bytes(content[at + 4 : at + 8], "little")
    there = len(content) - at - 8
    if size == 0 and there > 0:
        raise _truncated(f"its header, never finished, says 0 bytes of sound; {there} follow")
    if size < _UNKNOWN_BYTES and size > there:
        raise _truncated(f"{there} of {size} bytes of sound are there")


def _is_chained(content: bytes) -> bool:
    """Whether a stream of an Ogg file begins where one has ended; only the first would be read.

    A page's flags: 2 on a stream's first page, 4 on its last. Source: RFC 3533, sections 4 and 6.
    """
    at, ended = 0, False
    while at >= 0:
        page = content[at : at + 27 + 255]
        if len(page) < 27:
            return False
        if page[5] & 2 and ended:
            return True
        ended = ended or bool(page[5] & 4)
        at = content.find(b"OggS", at + 27 + page[26] + sum(page[27 : 27 + page[26]]))
    return False


def _is_unknown(file: Any) -> bool:
    """Whether a FLAC file does not say how long it is, as one that was streamed.

    It says 0 then (RFC 9639, section 8.2), which libsndfile turns into the greatest number.
    """
    return file.format == "FLAC" and not 0 < file.frames < 2**31


def _require_supported(file: Any, bounds: Bounds) -> None:
    name = "WAV" if file.format == "WAVEX" else file.format
    if file.subtype not in FORMATS.get(name, ()):
        raise UnsupportedSampleError(f"{name} with {file.subtype} is not accepted: {_KNOWN}")
    if not bounds.least_hz <= file.samplerate <= bounds.most_hz:
        raise UnsupportedSampleError(
            f"{file.samplerate} samples a second are not accepted: send {bounds.least_hz} to "
            f"{bounds.most_hz}"
        )
    if file.channels > bounds.channels:
        raise SampleTooLargeError(
            f"it has {file.channels} channels: send {bounds.channels} at most"
        )


def _blocks(file: Any, bounds: Bounds) -> Iterator[Float[np.ndarray, " t"]]:
    """Yield the mean of all channels, block by block. Raises SampleTooLargeError past the limit."""
    most = int(bounds.most_s * file.samplerate)
    # A file may not say how long it is, or lie; so what is read counts as well.
    if file.frames > most and not _is_unknown(file):
        raise _too_long(file.samplerate, bounds)
    if _is_unknown(file):  # after each block, soundfile would seek in vain to where it is already
        file.seekable = lambda: False
    read = 0
    while len(block := file.read(min(_BLOCK, most + 1 - read), dtype="float64", always_2d=True)):
        read += len(block)
        if read > most:
            raise _too_long(file.samplerate, bounds)
        if not (np.abs(block) <= LOUDEST).all():  # NaN is not
            raise UndecodableSampleError(
                f"it holds NaN, infinity or samples beyond {LOUDEST:g} times full scale"
            )
        yield block.mean(axis=1)


def _too_long(rate_hz: int, bounds: Bounds) -> SampleTooLargeError:
    return SampleTooLargeError(
        f"it lasts more than {bounds.most_s:g} s at {rate_hz} Hz: cut it into shorter clips"
    )


def _truncated(what: str) -> UndecodableSampleError:
    return UndecodableSampleError(f"the file is truncated: {what}")
