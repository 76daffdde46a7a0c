"""Files to prepared images, decoded on a thread while the backbone works on those before."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import UndecodableImageError
from app.settings import Settings
from detector import imaging
from detector.errors import SampleError

Prepare = Callable[[imaging.Pixels, int], imaging.Pixels]
_AHEAD = 16  # images decoded and waiting; bounds the memory of large pictures


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image at the backbone's input size, uint8 (3, s, s), and the height and width it had."""

    index: int
    pixels: imaging.Pixels
    shape: tuple[int, int]


@dataclass(slots=True)
class Reader:
    """Reads images as the service does; what cannot be read is noted and left out."""

    settings: Settings
    prepare: Prepare
    side_px: int
    rejected: dict[Path, str] = field(default_factory=dict)

    def picture(self, path: Path) -> imaging.Pixels:
        """Return the decoded image, uint8 (h, w, 3).

        Raises:
            SampleError: if it cannot be read.
        """
        return self._decoded(_content(path))

    def _decoded(self, content: bytes, side_px: int | None = None) -> imaging.Pixels:
        return imaging.decode(
            content,
            max_pixels=self.settings.max_image_pixels,
            min_side=self.settings.min_image_side,
            side_px=side_px,
        )

    def batches(self, paths: Sequence[Path], size: int) -> Iterator[list[Prepared]]:
        """Yield prepared images, in order, ``size`` at a time."""
        batch: list[Prepared] = []
        for path, prepared in self._ahead(paths):
            if isinstance(prepared, SampleError):
                self.rejected[path] = str(prepared)
                continue
            batch.append(prepared)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _ahead(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Prepared | SampleError]]:
        waiting: deque[tuple[Path, Future[Prepared | SampleError]]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
            for index, path in enumerate(paths):
                waiting.append((path, pool.submit(self._load, index, path)))
                if len(waiting) == _AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for path, future in waiting:
                yield path, future.result()

    def _load(self, index: int, path: Path) -> Prepared | SampleError:
        try:
            content = _content(path)
            pixels = self._decoded(content, self.side_px)
        except SampleError as error:
            return error
        return Prepared(index, self.prepare(pixels, self.side_px), imaging.shape(content))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return a mask, true where the picture is not black.

    Raises:
        UndecodableImageError: if the file is not a readable picture.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("L")) > 0
    except Exception as error:  # as in detector.imaging: decoders fail in many ways
        raise UndecodableImageError(f"the mask cannot be read: {error}") from error
