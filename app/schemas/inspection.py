"""One image's verdict explained: where it is odd, and which fitted images it is like."""

import base64
import io

import numpy as np
from PIL import Image

from app.results import Inspected
from app.schemas.base import Body
from app.schemas.scores import ImageResult
from detector.evidence import Neighbour


class NormalImage(Body):
    """A fitted image that the inspected one is like."""

    distance: float
    """Root mean square difference of squeezes, in standard deviations of the fitted ones."""
    thumbnail: str
    """PNG as a data URI."""

    @classmethod
    def of(cls, neighbour: Neighbour) -> "NormalImage":
        """Return its form."""
        buffer = io.BytesIO()
        Image.fromarray(neighbour.thumbnail.transpose(1, 2, 0)).save(buffer, "PNG")
        encoded = base64.b64encode(buffer.getvalue()).decode()
        return cls(distance=neighbour.distance, thumbnail=f"data:image/png;base64,{encoded}")


class Explanation(Body):
    """One image's verdict, where it is odd, and the fitted images it is most like."""

    detector: str
    version: int
    result: ImageResult
    map: list[list[float | None]] | None
    """Score of each cell of a grid over the picture, row by row, on the scale of score and
    threshold: what an otherwise typical picture would score if its worst places were like it
    (until the detector is calibrated, the regional part of that alone). Null outside the
    mask; null as a whole from a scorer without a map."""
    nearest: list[NormalImage]

    @classmethod
    def of(cls, inspected: Inspected) -> "Explanation":
        """Return its form."""
        cells = inspected.verdict.cells
        return cls(
            detector=inspected.detector,
            version=inspected.version,
            result=ImageResult.of(0, inspected.judged),
            map=None
            if cells is None
            else [[None if np.isnan(v) else float(v) for v in row] for row in cells],
            nearest=[NormalImage.of(neighbour) for neighbour in inspected.nearest],
        )
