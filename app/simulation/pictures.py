"""Where a simulation's pictures come from: drawn, or a folder of normal images; files at the end.

All pictures of one simulation, changed or not, are encoded alike, so that only what is meant to
change does. What is fitted, calibrated with and streamed is never the same picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import simplejpeg
from PIL import Image

from app.errors import NoImagesError
from app.intake.local_images import files_in
from app.simulation import drawing
from app.simulation.drawing import Pixels
from app.simulation.errors import RefusedError
from detector import imaging
from detector.errors import SampleError

Part = Literal["fit", "calibrate", "traffic", "other"]
PARTS: tuple[Part, ...] = ("fit", "calibrate", "traffic", "other")
QUALITY = 92
LEAST_IMAGES = 90
"""Own normal images: a third each to be fitted, to calibrate with, and to be streamed."""
LONGEST_PX, MOST_PIXELS = 640, 100_000_000
"""Own images are made smaller than this, for they are encoded one by one as they are sent."""


class Pictures(Protocol):
    """The pictures of a simulation, by part and number: the same ones whenever they are asked."""

    def count(self, part: Part) -> int | None:
        """Return how many different ones a part has; none if it never ends."""

    def get(self, part: Part, number: int) -> Pixels:
        """Return one, uint8 (h, w, 3)."""


class Drawn:
    """A product on a belt, and another product; every picture is another one."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def count(self, part: Part) -> None:
        """Return none: there is no end to them."""

    def get(self, part: Part, number: int) -> Pixels:
        """Draw one."""
        numbers = (self._seed, PARTS.index(part), number)
        return drawing.drawn(numbers, new_product=part == "other")


class Own:
    """An operator's own normal images, shuffled and parted, and images of another product.

    Streamed ones come again, shuffled anew, when all have been.
    """

    def __init__(self, folder: Path, seed: int, other: Path | None = None) -> None:
        """List the images.

        Raises:
            RefusedError: if a folder has no images, or too few to be parted.
        """
        self._seed = seed
        files = _files(folder)
        if len(files) < LEAST_IMAGES:
            raise RefusedError(
                f"{folder} has {len(files)} images, and at least {LEAST_IMAGES} are needed: a "
                "third each is fitted, calibrated with and streamed"
            )
        order = np.random.default_rng([seed, 0]).permutation(len(files))
        thirds = np.array_split(order, 3)
        self._files: dict[Part, Sequence[Path]] = {
            part: [files[i] for i in third] for part, third in zip(PARTS[:3], thirds, strict=True)
        }
        self._files["other"] = _files(other) if other else []

    def count(self, part: Part) -> int:
        """Return how many files there are of it."""
        return len(self._files[part])

    def get(self, part: Part, number: int) -> Pixels:
        """Read one.

        Raises:
            RefusedError: if the file cannot be read.
        """
        files = self._files[part]
        again, place = divmod(number, len(files))
        order = np.random.default_rng([self._seed, 1 + PARTS.index(part), again])
        return _read(files[int(order.permutation(len(files))[place])])


def jpeg(picture: Pixels) -> bytes:
    """Return a JPEG file of a picture."""
    pixels = np.ascontiguousarray(picture)
    content: bytes = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorsubsampling="444")
    return content


def _files(folder: Path) -> list[Path]:
    try:
        return files_in(folder)
    except NoImagesError as error:
        raise RefusedError(str(error)) from error


def _read(file: Path) -> Pixels:
    try:
        pixels = imaging.decode(file.read_bytes(), max_pixels=MOST_PIXELS, min_side=16)
    except (SampleError, OSError) as error:
        raise RefusedError(f"{file} cannot be read: {error}") from error
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_PX, LONGEST_PX))
    return np.asarray(image)
