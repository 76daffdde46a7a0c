"""What the JSON members of a bundle say, and what an import answers."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

from app.intake.grouping import MAX_GROUP
from app.intake.spool_writer import MAX_NAME
from app.schemas.base import Body, DetectorName
from app.schemas.detectors import DetectorInfo
from app.storage.version_reader import Stored

FORMAT: Final = 1


class Said(BaseModel):
    """What a JSON member says; anything else in it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=MAX_NAME)]
Group = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=MAX_GROUP)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class Manifest(Said):
    """What a bundle is and where it comes from.

    ``weights_licence`` is empty where it is not known; ``lineage`` tells the versions that led to
    this one, oldest first, and ``members`` the digests of all other members, in their order.
    """

    format: Literal[1] = FORMAT
    gatewatch: str
    name: DetectorName
    version: Count
    backbone: str
    backbone_fingerprint: str
    weights_licence: str
    spec: dict[str, Any]
    lineage: list[dict[str, Any]]
    members: dict[str, Sha256]


class BundledImage(Said):
    """An image; its rows are at place ``row`` of the member of number ``chunk``, if they came."""

    sha256: Sha256
    name: Label
    group: Group
    role: Literal["fit", "calibrate", "anomaly"]
    chunk: Count | None = None
    row: Count = 0


class BundledImages(Said):
    """The images that a detector was fitted to and calibrated on, in order."""

    images: list[BundledImage]


class GoldenScore(Said):
    """An image, how it was made, and the score it had where the bundle was written."""

    file: Annotated[str, StringConstraints(pattern=r"^golden/\d\d\.(png|npy)$")]
    made: str
    score: FiniteFloat


class Golden(Said):
    """Images that must have the same scores elsewhere, but for a relative ``tolerance``."""

    tolerance: Annotated[float, Field(gt=0, lt=1)]
    images: Annotated[list[GoldenScore], Field(min_length=1, max_length=100)]


class Imported(Body):
    """What an import did."""

    detector: DetectorInfo
    worst_difference: float
    """Largest relative difference of a score here from the one the bundle gives."""
    rows_kept: bool
    """Whether images can be forgotten here, one by one."""

    @classmethod
    def of(cls, stored: Stored, worst_difference: float, rows_kept: bool) -> "Imported":
        """Return its form."""
        info = DetectorInfo.of(stored.entry)
        return cls(detector=info, worst_difference=worst_difference, rows_kept=rows_kept)
