"""Images in a column of a Parquet file, read some rows at a time; needs the extra ``parquet``.

The column holds the bytes of image files, or structs with ``bytes`` and perhaps ``path``, as
Hugging Face's data sets have them. A row is known by its number in the file. A column ``group``
of text, where there is one, says which group each image is of.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from app.bulk.errors import BulkError, UnreadableSourceError
from app.bulk.fragments import Fragment, Item
from app.bulk.objects import opened
from app.bulk.sources import How, check_size, refused
from app.errors import UndecodableImageError
from detector.errors import DetectorError

ROWS_AT_ONCE = 16
BUFFER_BYTES = 2**20
"""Of a column that are read ahead; without a bound a whole row group is."""
GROUP = "group"


def row_groups(place: str, how: How) -> int:
    """Return how many row groups a file has, if it has a column of images.

    Raises:
        UnreadableSourceError: if it is no whole Parquet file, or which column is not clear.
        StorageUnavailableError: if the store that it lies in fails.
    """
    with _table(place) as table:
        _column(place, table.schema_arrow, how)
        return int(table.num_row_groups)


def items(fragment: Fragment, how: How) -> Iterator[Item]:
    """Yield the images of the row groups of a fragment, in order; group as the file tells it.

    Where a row group is damaged, one item stands for what is lost, and says so when it is read.
    A page of the column has to fit into memory, a row group need not.

    Raises:
        StorageUnavailableError: if the store that they lie in fails.
        UnreadableSourceError: if the file has gone or is another one.
    """
    place = fragment.place
    with _table(place) as table:
        column = _column(place, table.schema_arrow, how)
        columns = [column, GROUP] if GROUP in table.schema_arrow.names else [column]
        for number in map(int, fragment.names):
            first = sum(table.metadata.row_group(each).num_rows for each in range(number))
            try:
                yield from _rows(table, place, number, first, columns, how)
            except (BulkError, DetectorError, MemoryError):
                raise
            except Exception as error:  # a decoder fed by strangers fails in many ways
                yield refused(
                    f"{place}/row-group-{number}",
                    f"row group {number} is damaged, and its images from here on are left out: "
                    f"{error}",
                    is_rest=True,
                )


def _rows(
    table: Any, place: str, number: int, first: int, columns: list[str], how: How
) -> Iterator[Item]:
    batches = table.iter_batches(ROWS_AT_ONCE, [number], columns=columns, use_threads=False)
    at = first
    for batch in batches:
        groups = batch.column(1) if len(columns) > 1 else [None] * len(batch)
        for value, group in zip(batch.column(0), groups, strict=True):
            told = None if group is None else group.as_py()
            yield _item(f"{place}/{at}", value.as_py(), told, how)
            at += 1


def _item(name: str, value: Any, group: Any, how: How) -> Item:
    path = ""
    if isinstance(value, dict):
        value, path = value.get("bytes"), str(value.get("path") or "")
    if value is None:
        why = f"the row has no bytes, only the path {path!r}" if path else "the row has no image"
        return refused(name, why)
    content = bytes(value)
    try:
        check_size(len(content), how)
    except UndecodableImageError as error:
        return refused(name, str(error))
    return Item(name, "" if group is None else str(group), lambda: content)


def _column(place: str, schema: Any, how: How) -> str:
    """Return the column that holds images."""
    import pyarrow as pa

    def is_bytes(kind: Any) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    able = [
        field.name
        for field in schema
        if is_bytes(field.type)
        or (
            pa.types.is_struct(field.type)
            and any(part.name == "bytes" and is_bytes(part.type) for part in field.type)
        )
    ]
    wanted = how.image_column
    if wanted and wanted not in able:
        raise UnreadableSourceError(
            f"{place} has no column {wanted!r} of bytes or of structs with bytes; its columns: "
            f"{', '.join(schema.names)}"
        )
    if not wanted and len(able) != 1:
        found = f"{len(able)} ({', '.join(able)}): choose one" if able else "none: name it"
        raise UnreadableSourceError(
            f"{place} should have one column of images and has {found} with --image-column; its "
            f"columns: {', '.join(schema.names)}"
        )
    return wanted or able[0]


@contextmanager
def _table(place: str) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UnreadableSourceError(
            f"{place} needs the extra [parquet]: pip install 'gatewatch[parquet]'"
        ) from error
    with closing(opened(place)) as file:
        try:
            table = pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES)
        except (BulkError, DetectorError):
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UnreadableSourceError(f"{place} is no whole Parquet file: {error}") from error
        yield table
