"""Pictures to measure with, made in memory: noise whose spectrum is that of photographs.

Amplitude falls with spatial frequency f as 1/f, which is what makes JPEG and PNG of them cost about
what photographs cost. Source: Field, "Relations between the statistics of natural images and the
response properties of cortical cells", J. Opt. Soc. Am. A 4, 1987, section 3.
"""

import io

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

QUALITY = 85


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture, (height, width, 3), the same for the same seed."""
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf  # the mean is set below
    grey = np.fft.irfft2(
        np.fft.rfft2(rng.normal(size=(height, width))) / frequency, (height, width)
    )
    tint = np.array([1.0, 0.9, 0.8])
    levels = 128 + 45 * tint * (grey / grey.std())[:, :, None]
    pixels: NDArray[np.uint8] = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    return pixels


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Return a JPEG file of a picture."""
    content: bytes = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorsubsampling="420")
    return content


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of a picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def kinds() -> dict[str, bytes]:
    """Return a file of each kind that decoding is measured on; the first is the usual one."""
    small, large = picture(512, 400), picture(1664, 1216)
    return {"JPEG, 0.2 MP": jpeg(small), "JPEG, 2 MP": jpeg(large), "PNG, 0.2 MP": png(small)}
