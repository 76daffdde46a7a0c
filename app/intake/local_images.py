"""Samples of the command line as a job's: files and folders of this machine, read when needed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import NoImagesError, UndecodableImageError
from app.intake.grouping import Grouping
from app.intake.matching import TEXT_SUFFIX, text_of
from app.intake.spool import Entry
from detector.kinds import Kind, image


@dataclass(frozen=True)
class LocalImages:
    """Files in order, and the mask that counts for all of them."""

    entries: Sequence[Entry]
    mask: bytes | None = None
    kind: Kind = image.KIND
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
        kind: Kind = image.KIND,
    ) -> "LocalImages":
        """Return the samples at some paths, sorted below each folder; ``called`` names them.

        Of a folder they are the files with the suffixes of their ``kind``.

        Raises:
            NoImagesError: if a folder has none.
            InvalidGroupError: if a folder's name cannot be a group.
        """
        grouping = grouping or Grouping()
        entries: list[Entry] = []
        files: dict[int, Path] = {}
        for role, tops in (("normal", paths), ("anomaly", anomalies)):
            for file in (file for top in tops for file in files_in(top, kind.suffixes)):
                files[len(entries)] = file
                name = called(file)
                group = grouping.of(name)
                entries.append(Entry(name, group, role, 0, None))  # type: ignore[arg-type]
        return cls(entries, mask, kind, files)

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> bytes:
        """Return one sample's bytes.

        Raises:
            UndecodableImageError: if the file cannot be read.
        """
        return content_of(self._paths[index], self.kind)


def content_of(path: Path, kind: Kind) -> bytes:
    """Return the bytes of the sample in a file, made one with the text beside it if it has one.

    Raises:
        UndecodableImageError: if it cannot be read.
    """
    text = text_beside(path) if kind.pairs else None
    try:
        content = path.read_bytes()
        return content if text is None else kind.pair(content, text_of(text.read_bytes()))
    except OSError as error:
        raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UndecodableImageError(f"its text is no UTF-8: {error}") from error


def text_beside(path: Path) -> Path | None:
    """Return the file of the text that belongs to a file: ``a.txt`` to ``a.jpg``."""
    text = path.with_suffix(TEXT_SUFFIX)
    return text if text != path and text.is_file() else None


def files_in(top: Path, suffixes: Collection[str] = image.KIND.suffixes) -> list[Path]:
    """Return a file, or those below a folder with these suffixes, sorted by path.

    Raises:
        NoImagesError: if there are none.
    """
    if not top.is_dir():
        return [top]
    paths = sorted(p for p in top.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    if not paths:
        raise NoImagesError(f"no image in {top}; looked for {', '.join(sorted(suffixes))}")
    return paths
