"""The images of a fragment, one after another, whatever they lie in; no two have one name."""

import os
from collections.abc import Callable, Iterator
from functools import partial

from app.bulk import local_files, objects, tables, tars
from app.bulk.fragments import Fragment, Item
from app.bulk.sources import How, refused
from app.errors import InvalidGroupError
from app.intake.grouping import check_group, pattern_of
from gatewatch.images import sendable


def items(fragment: Fragment, how: How | None = None) -> Iterator[Item]:
    """Yield the images of a fragment, always in the same order.

    Images that lie alone are read when they are asked for, those of a file as it is gone through.
    A name is the path or URL, and for images in a file the file's with the member or row.

    Raises:
        StorageUnavailableError: if the store or disk that they lie on fails.
        UnreadableSourceError: if a tar or Parquet file has gone since it was listed.
        InvalidSpecError: if the pattern for groups is none.
    """
    how = how or How()
    pattern = pattern_of(how.group_pattern) if how.group_pattern else None
    for item in _READERS[fragment.kind](fragment, how):
        name = sendable(item.name)
        found = pattern.search(name) if pattern else None
        group = found[1] if found and found[1] else item.group
        try:
            check_group(group)
        except InvalidGroupError as error:
            yield refused(name, str(error))
        else:
            yield Item(name, group, item.read, item.is_rest)


def _files(fragment: Fragment, how: How) -> Iterator[Item]:
    for name in fragment.names:
        path = os.path.join(fragment.place, name)
        yield Item(path, "", partial(local_files.read, path, how))


def _objects(fragment: Fragment, how: How) -> Iterator[Item]:
    for name in fragment.names:
        url = f"{fragment.place}/{name}"
        yield Item(url, "", partial(objects.read, url, how))


_READERS: dict[str, Callable[[Fragment, How], Iterator[Item]]] = {
    "files": _files,
    "objects": _objects,
    "tar": tars.items,
    "parquet": tables.items,
}
