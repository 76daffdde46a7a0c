"""Images of the command line as a job's: files and folders of this machine, read when needed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import NoImagesError, UndecodableImageError
from app.images.sources import SUFFIXES
from app.intake.grouping import Grouping
from app.intake.spool import Entry


@dataclass(frozen=True)
class LocalImages:
    """Files in order, and the mask that counts for all of them."""

    entries: Sequence[Entry]
    mask: bytes | None = None
    _paths: Mapping[int, Path] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        *,
        mask: bytes | None = None,
        grouping: Grouping | None = None,
        anomalies: Sequence[Path] = (),
        called: Callable[[Path], str] = str,
    ) -> "LocalImages":
        """Return the images at some paths, sorted below each folder; ``called`` names them.

        Raises:
            NoImagesError: if a folder has none.
            InvalidGroupError: if a folder's name cannot be a group.
        """
        grouping = grouping or Grouping()
        entries: list[Entry] = []
        files: dict[int, Path] = {}
        for role, tops in (("normal", paths), ("anomaly", anomalies)):
            for file in (file for top in tops for file in files_in(top)):
                files[len(entries)] = file
                name = called(file)
                group = grouping.of(name)
                entries.append(Entry(name, group, role, 0, None))  # type: ignore[arg-type]
        return cls(entries, mask, files)

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> bytes:
        """Return one image's bytes.

        Raises:
            UndecodableImageError: if the file cannot be read.
        """
        try:
            return self._paths[index].read_bytes()
        except OSError as error:
            raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error


def files_in(top: Path) -> list[Path]:
    """Return a file, or the images below a folder, sorted by path.

    Raises:
        NoImagesError: if there are none.
    """
    if not top.is_dir():
        return [top]
    paths = sorted(p for p in top.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise NoImagesError(f"no image in {top}; looked for {', '.join(sorted(SUFFIXES))}")
    return paths
