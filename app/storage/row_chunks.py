"""Rows of fitted and calibrated images, some dozens to a blob, in the order in which they came.

They are written while a job runs, so that it goes on where it was stopped; and they are kept, so
that an image can be forgotten by its digest, exactly and without the image.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.storage.blobs import Blobs
from app.storage.detector_files import folder
from app.storage.lineage import Image
from detector.row_file import read_rows, rows_bytes
from detector.rows import Rows


@dataclass(frozen=True, slots=True)
class Arrival:
    """One image that was looked at: where its rows are, or the problem that left it out."""

    name: str
    group: str
    role: str
    sha256: str
    row: int | None = None
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images that came one after another, and the rows of those that could be used."""

    blob: str
    arrivals: Sequence[Arrival]
    rows: Rows | None = field(repr=False)
    views: int = 1
    """Rows of one image: mirrored ones stand beside it."""
    backbone: str = ""
    """Fingerprint of the backbone that made the rows."""

    def images(self, role: str) -> list[Image]:
        """Return the usable images of a role."""
        return [
            Image(each.sha256, each.name, each.group, self.blob, each.row)
            for each in self.arrivals
            if each.row is not None and each.role == role
        ]

    def of(self, role: str) -> Rows | None:
        """Return the rows of the usable images of a role, None if there are none."""
        return self.take([image.row for image in self.images(role)])

    def without(self, digests: Collection[str], problem: Mapping[str, Any]) -> "Chunk":
        """Return the chunk with images of these digests left out, for that reason."""
        arrivals = [
            replace(each, row=None, problem=problem) if each.sha256 in digests else each
            for each in self.arrivals
        ]
        return replace(self, arrivals=arrivals)

    def take(self, places: Iterable[int]) -> Rows | None:
        """Return the rows of the images at these places, None if there are none."""
        rows = [place * self.views + view for place in places for view in range(self.views)]
        return self.rows.take(rows) if self.rows is not None and rows else None


class RowChunks:
    """Writes and reads chunks."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def write(
        self,
        detector_id: str,
        run: str,
        number: int,
        arrivals: Sequence[Arrival],
        rows: Rows | None,
        views: int,
        backbone: str,
    ) -> Chunk:
        """Keep the chunk of this number of a run."""
        name = f"{_folder(detector_id, run)}/{number:06d}.safetensors"
        listed = [asdict(each) for each in arrivals]
        about = {"views": views, "backbone": backbone, "arrivals": listed}
        self._blobs.put(name, rows_bytes(rows, about))
        return Chunk(name, arrivals, rows, views, backbone)

    def read(self, name: str) -> Chunk:
        """Return a chunk.

        Raises:
            ArtefactError, MissingBlobError, StorageUnavailableError
        """
        rows, about = read_rows(self._blobs.get(name))
        arrivals = [Arrival(**each) for each in about["arrivals"]]
        return Chunk(name, arrivals, rows, about["views"], about["backbone"])

    def of_run(self, detector_id: str, run: str) -> list[str]:
        """Return the names of the chunks that a run has written, in order, up to the first gap."""
        names = []
        for number, name in enumerate(self._blobs.names(_folder(detector_id, run))):
            if not name.endswith(f"/{number:06d}.safetensors"):
                break
            names.append(name)
        return names

    def remove_run(self, detector_id: str, run: str) -> None:
        """Delete all chunks of a run."""
        self._blobs.delete_all(_folder(detector_id, run))


def _folder(detector_id: str, run: str) -> str:
    return f"{folder(detector_id)}/rows/{run}"
