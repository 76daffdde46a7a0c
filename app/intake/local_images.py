"""Samples of the command line as a job's: files and folders of this machine, read when needed."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import NoImagesError, UndecodableImageError
from app.intake.grouping import Grouping
from app.intake.matching import TEXT_SUFFIX, by_name, text_of, whole
from app.intake.spool import Entry
from detector.kinds import Kind, image


@dataclass(frozen=True)
class LocalImages:
    """Files in order, and the mask that counts for all of them."""

    entries: Sequence[Entry]
    mask: bytes | None = None
    kind: Kind = image.KIND
    _paths: Sequence[Path] = ()
    _texts: Mapping[Path, Path] = field(default_factory=dict)

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
        found = [
            (role, file)
            for role, tops in (("normal", paths), ("anomaly", anomalies))
            for top in tops
            for file in files_in(top, kind.suffixes, kind.sample)
        ]
        entries: list[Entry] = []
        for role, file in found:
            name = called(file)
            entries.append(Entry(name, grouping.of(name), role, 0, None))  # type: ignore[arg-type]
        files = [file for _, file in found]
        texts = texts_beside(files, kind.suffixes) if kind.pairs else {}
        return cls(entries, mask, kind, files, texts)

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> bytes:
        """Return one sample's bytes.

        Raises:
            UndecodableImageError: if the file cannot be read, or its text.
            SampleTooLargeError: if it is too large for a pair.
        """
        path = self._paths[index]
        return content_of(path, self.kind, self._texts.get(path))


def content_of(path: Path, kind: Kind, text: Path | None) -> bytes:
    """Return the bytes of the sample in a file, made one with its text if it has one.

    Raises:
        UndecodableImageError: if either cannot be read, or the text is no UTF-8.
        SampleTooLargeError: if either is too large for a pair.
    """
    content = _read(path, "the file")
    return content if text is None else whole(kind, content, _read(text, "its text"))


def words_of(text: Path) -> str:
    """Return what a file of text says.

    Raises:
        UndecodableImageError: if it cannot be read, or is no UTF-8.
    """
    return text_of(_read(text, "its text"))


def texts_beside(files: Iterable[Path], suffixes: Collection[str]) -> dict[Path, Path]:
    """Return file -> the text beside it that belongs to it, by the rule of ``by_name``.

    Args:
        files: of whatever names.
        suffixes: of those other files that are samples, too, and so may want the same text.
    """
    given: dict[Path, set[str]] = defaultdict(set)
    for file in files:
        given[file.parent].add(file.name)
    found: dict[Path, Path] = {}
    for folder, names in given.items():
        with suppress(OSError):  # reading the files tells
            names |= _names_in(folder, {*suffixes, TEXT_SUFFIX})
        listed = sorted(names)
        matched = by_name(listed).items()
        found |= {folder / listed[file]: folder / listed[text] for file, text in matched}
    return found


def _names_in(folder: Path, suffixes: Collection[str]) -> set[str]:
    return {each.name for each in folder.iterdir() if _is_one(each, suffixes)}


def _is_one(path: Path, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and path.is_file()


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UndecodableImageError(f"{what} cannot be read: {error.strerror}") from error


def files_in(
    top: Path,
    suffixes: Collection[str] = image.KIND.suffixes,
    sample: str = image.KIND.sample,
) -> list[Path]:
    """Return a file, or those below a folder with these suffixes, sorted by path.

    Raises:
        NoImagesError: if there are none.
    """
    if not top.is_dir():
        return [top]
    paths = sorted(p for p in top.rglob("*") if _is_one(p, suffixes))
    if not paths:
        raise NoImagesError(f"no {sample} in {top}; looked for {', '.join(sorted(suffixes))}")
    return paths
