"""Images in a tar file, in WebDataset's form or any other, as they come; nothing is extracted.

A member is an image by its suffix. Members that lie together and are called alike up to the first
dot of their file's name are one sample of WebDataset: the ``group`` in its ``.json`` is that of its
images. Damage, from which no reader finds back into a tar file, and what only an attacker packs
(``app.intake.untar``) never lose images in silence: in the place of what is lost stands an image
that says so when it is read.
"""

import gzip
import io
import json
import sys
from collections.abc import Iterator
from contextlib import closing

from app.bulk.errors import BulkError
from app.bulk.fragments import Fragment, Item
from app.bulk.objects import opened
from app.bulk.sources import How, check_size, is_image, refused
from app.errors import RefusedMemberError, StorageUnavailableError
from app.intake import untar
from app.intake.archives import Counted, Names
from app.intake.limits import Limits, quoted
from detector.errors import DetectorError

SAMPLE_IMAGES = 16
"""Images of one sample; more are no sample, and wait for no JSON."""
JSON_BYTES = 2**20


def items(fragment: Fragment, how: How) -> Iterator[Item]:
    """Yield the images of a tar file, in order; group as the file tells it.

    Raises:
        StorageUnavailableError: if the store that it lies in fails.
        UnreadableSourceError: if the file has gone.
    """
    place = fragment.place
    with closing(opened(place)) as file:
        last = "its beginning"
        try:
            for item in _samples(place, file, how):
                last = item.name
                yield item
        except (BulkError, StorageUnavailableError):
            raise
        except DetectorError as error:
            if isinstance(error.__cause__, BulkError | MemoryError):  # no damage of the file
                raise error.__cause__ from None
            yield refused(
                place,
                f"the images after {last} are left out, for the file cannot be read on: {error}",
                is_rest=True,
            )


def _samples(place: str, file: io.BufferedReader, how: How) -> Iterator[Item]:
    key, images, group = "", list[Item](), ""
    try:
        for name, item, about in _members(place, file, how):
            folder, _, base = name.rpartition("/")
            its_key = f"{folder}/{base.partition('.')[0]}"
            if its_key != key or len(images) >= SAMPLE_IMAGES:
                yield from _grouped(images, group)
                key, images, group = its_key, [], ""
            if item is not None:
                images.append(item)
            group = about or group
    except DetectorError:
        yield from _grouped(images, group)  # these came whole
        raise
    yield from _grouped(images, group)


def _grouped(images: list[Item], group: str) -> Iterator[Item]:
    for item in images:
        yield Item(item.name, group, item.read)


def _members(
    place: str, file: io.BufferedReader, how: How
) -> Iterator[tuple[str, Item | None, str]]:
    """Yield the name of every member, the image that it is, and the group that it tells."""
    limits = Limits(sys.maxsize, sys.maxsize, how.image_bytes, how.ratio, sys.maxsize)
    packed = Counted(file)
    is_packed = file.peek(2).startswith(untar.GZIP)
    unpacked = gzip.GzipFile(fileobj=packed, mode="rb") if is_packed else packed
    stream = untar.Forward(unpacked, packed, limits)
    names = Names(limits)
    for member in untar.members(stream):
        if not (is_image(member.name) or member.name.endswith(".json")):
            continue
        try:
            name = names.take(member.name, is_folder=member.isdir())
            if name is None:
                continue
            if not member.isreg() or member.issparse():
                raise RefusedMemberError(f"{quoted(name)} is a link, a device or a sparse file")
            if is_image(name):
                check_size(member.size, how)
        except DetectorError as error:
            if is_image(member.name):
                called = f"{place}/{member.name}"
                yield member.name, refused(called, str(error)), ""
            continue
        if is_image(name):
            content = b"".join(stream.content(member.size))
            yield name, _item(f"{place}/{name}", content), ""
        elif member.size <= JSON_BYTES:
            yield name, None, _group(b"".join(stream.content(member.size)))
    stream.finish()


def _item(name: str, content: bytes) -> Item:
    return Item(name, "", lambda: content)


def _group(content: bytes) -> str:
    try:
        about = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    group = about.get("group") if isinstance(about, dict) else None
    return group if isinstance(group, str) else ""
