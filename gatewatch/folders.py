"""Folders as they are handed to the client: which files below them are samples."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from gatewatch.images import Images, Path_, Piece, is_one, of_path, piece

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
TEXT_SUFFIX = ".txt"
"""Of the text that belongs to a file of the same name, where samples are pairs."""
CLUTTER = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db"})


@dataclass(frozen=True)
class Looked:
    """Which files of a folder are samples.

    Attributes:
        suffixes: Of those that are, in lower case.
        paired: Whether a text belongs to each, in a file of the same name.
    """

    suffixes: frozenset[str] = SUFFIXES
    paired: bool = False


OF_IMAGES = Looked()


def of_folder(path: Path, name: str, text: str | None) -> Iterator[Piece]:
    """Yield a file of a folder, and the text beside it that belongs to it, by its name.

    They are sent as two files, which the server makes a pair by their names; a file without a text
    fails there, alone.

    Raises:
        OSError: if it is not there.
    """
    yield of_path(path, name)
    if text is not None:
        yield of_path(path.with_name(PurePosixPath(text).name), text)


def texts_in(folder: Path, look: Looked) -> dict[str, str]:
    """Return name of a file -> name of the text that belongs to it, where samples are pairs.

    As at the server: they lie in the same folder, are called the same but for the ending, and no
    other file that may be a sample, or text, is.
    """
    if not look.paired:
        return {}
    alike: dict[str, list[str]] = defaultdict(list)
    for name, _ in walk(folder, look.suffixes | {TEXT_SUFFIX}):
        alike[name.rpartition(".")[0]].append(name)
    found: dict[str, str] = {}
    for names in alike.values():
        texts = [name for name in names if _is_text(name)]
        files = [name for name in names if not _is_text(name)]
        if len(texts) == len(files) == 1:
            found[files[0]] = texts[0]
    return found


def _is_text(name: str) -> bool:
    return name.lower().endswith(TEXT_SUFFIX)


def walk(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder that are samples, by path relative to it, sorted.

    Other files, the clutter of desktops and links to folders are passed over, as the server does
    with a folder of its own.

    Raises:
        NotADirectoryError: if it is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")
    paths = [path for path in _files(folder) if path.suffix.lower() in suffixes]
    found = [(str(PurePosixPath(path.relative_to(folder))), path) for path in paths]
    yield from sorted(found, key=lambda pair: pair[0].split("/"))


def is_folder(images: Any) -> TypeGuard[Path_]:
    """Whether this is the path of a folder."""
    return isinstance(images, str | os.PathLike) and Path(images).is_dir()


def is_mixed(folder: Path_) -> bool:
    """Whether a folder has other files than images, so that it matters which are samples."""
    return any(path.suffix.lower() not in SUFFIXES for path in _files(Path(folder)))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder but for the clutter of desktops."""
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in CLUTTER]
        for name in files:
            if name not in CLUTTER and not name.startswith("._"):
                yield Path(top, name)


def listed(images: Images, look: Looked = OF_IMAGES) -> Iterator[Piece]:
    """Yield the files of a folder, or of a number of samples.

    Raises:
        OSError: if there is no such file or folder.
        TypeError: if it is one image and no number of them.
        ValueError: if a folder has no images.
    """
    if not isinstance(images, str | os.PathLike):
        if is_one(images):
            raise TypeError("one image was given where many are taken: put it into a list")
        yield from map(piece, images)
        return
    path = Path(images)
    if not path.is_dir():
        yield piece(path)
        return
    empty = True
    texts = texts_in(path, look)
    for name, file in walk(path, look.suffixes):
        empty = False
        yield from of_folder(file, name, texts.get(name))
    if empty:
        what = "image" if look == OF_IMAGES else "sample"
        raise ValueError(f"no {what} below {path}; looked for {', '.join(sorted(look.suffixes))}")
