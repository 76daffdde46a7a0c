"""From sources to fragments: every process lists the same ones in the same order, reading no image.

A folder is walked with all below it: its images, and the tar and Parquet files in it. Links to
folders, which may lead in a circle, and the clutter of desktops are passed over. What grows with
the number of images is their names.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath

from app.bulk import local_files, objects, tables
from app.bulk.errors import UnreadableSourceError
from app.bulk.fragments import FRAGMENT_IMAGES, Fragment, Kind, state_of
from app.bulk.sources import BUCKETS, LOOKED_FOR, How, is_image, is_table, is_tar
from app.intake.archives import is_clutter

Progress = Callable[[int], object]
"""Called with how many images, tar files or parts of tables were just found."""


def fragments(
    sources: Sequence[str], how: How | None = None, progress: Progress = lambda _: None
) -> list[Fragment]:
    """Return the fragments of some sources.

    Args:
        sources: folders, images, tar and Parquet files, and ``s3://BUCKET/...`` of these.
        how: the images of Parquet files are found.
        progress: told now and then.

    Raises:
        UnreadableSourceError: if one is none, holds nothing, or lies in another.
        StorageError, StorageUnavailableError: if a bucket cannot be used or reached.
    """
    _check_apart(sources)
    found: list[Fragment] = []
    for source in sources:
        before = len(found)
        for fragment in _of(source, how or How()):
            found.append(fragment)
            progress(max(len(fragment.names), 1))
        if len(found) == before:
            raise UnreadableSourceError(f"no image in {source}; looked for {LOOKED_FOR}")
    return found


def _of(source: str, how: How) -> Iterator[Fragment]:
    if source.startswith(BUCKETS):
        yield from _of_bucket(source, how)
        return
    if os.path.isdir(source):
        yield from _of_names("files", source, _walk(source), how)
        return
    state = local_files.state(source)
    if state is None:
        raise UnreadableSourceError(f"there is no file or folder {source}")
    folder, name = os.path.split(source)
    if is_tar(name) or is_table(name):
        yield from _of_names("files", folder, [(name, state)], how)
    else:  # whatever its suffix: it was named
        yield Fragment("files", folder, (name,), state_of([state]))


def _of_bucket(url: str, how: How) -> Iterator[Fragment]:
    bucket, prefix = objects.split(url)
    top = f"{BUCKETS}{bucket}/{prefix}".rstrip("/")
    found = sorted((each[len(top) + 1 :], state) for each, state in objects.listed(top))
    if not found and prefix:  # no prefix of whole parts: the object itself, or nothing
        state = objects.ObjectFile(top).state
        top, _, name = top.rpartition("/")
        found = [(name, state)]
    yield from _of_names("objects", top, found, how)


def _of_names(
    kind: Kind, place: str, found: Iterable[tuple[str, str]], how: How
) -> Iterator[Fragment]:
    """Yield the fragments of what is an image, tar or Parquet file of some names below a place.

    With every name comes the state of its file.
    """
    alone = []
    for name, state in found:
        if is_clutter(name.split("/")):
            continue
        if is_image(name):
            alone.append((name, state))
        elif is_tar(name):
            yield Fragment("tar", _below(place, name), (), state_of([state]))
        elif is_table(name):
            table = _below(place, name)
            for number in range(tables.row_groups(table, how)):
                yield Fragment("parquet", table, (str(number),), state_of([state]))
    coming = iter(alone)
    while some := list(islice(coming, FRAGMENT_IMAGES)):
        names, states = zip(*some, strict=True)
        yield Fragment(kind, place, names, state_of(states))


def _below(place: str, name: str) -> str:
    return f"{place}/{name}" if place.startswith(BUCKETS) else os.path.join(place, name)


def _walk(top: str) -> Iterator[tuple[str, str]]:
    """Yield the files below a folder, relative to it, with their states, in order of name."""
    for folder, below, files in os.walk(top, onerror=_unreadable):
        below.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            state = local_files.state(path)
            if state is not None:
                yield os.path.relpath(path, top), state


def _unreadable(error: OSError) -> None:
    raise UnreadableSourceError(f"{error.filename} cannot be read: {error.strerror}") from error


def _check_apart(sources: Sequence[str]) -> None:
    """Refuse a source that is, or lies in, another one: its images would count twice."""
    parts = sorted(_parts(source) for source in sources)
    for above, below in pairwise(parts):
        if below[: len(above)] == above:
            raise UnreadableSourceError(
                f"{_joined(below)} is given twice, or lies in {_joined(above)}: name each once"
            )


def _parts(source: str) -> tuple[str, ...]:
    if source.startswith(BUCKETS):
        bucket, key = objects.split(source)
        return (BUCKETS, bucket, *PurePosixPath(key).parts)
    return Path(source).resolve().parts


def _joined(parts: Sequence[str]) -> str:
    return BUCKETS + "/".join(parts[1:]) if parts[0] == BUCKETS else str(Path(*parts))
