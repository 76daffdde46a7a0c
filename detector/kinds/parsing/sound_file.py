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
            claimed, rate_hz = file.frames, file.samplerate
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
    if content[:4] == b"RIFF":
        at = 12
        while content[at : at + 4] != b"data":
            if at + 8 > len(content):
                raise _truncated("it has no data")
            size = int.from_bytes(content[at + 4 : at + 8], "little")
            at += 8 + size + size % 2  # chunks begin at even places
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if size < _UNKNOWN_BYTES and at + 8 + size > len(content):
            raise _truncated(f"{len(content) - at - 8} of {size} bytes of sound are there")


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
    # An Ogg file may not say how long it is, or lie; so what is read counts as well.
    if file.frames > most:
        raise _too_long(file.samplerate, bounds)
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
