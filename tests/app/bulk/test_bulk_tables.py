"""Parquet files: which column has the images, rows that have none, and groups that are damaged."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_helpers import PICTURES, as_parquet, read

from app.bulk.errors import UnreadableSourceError
from app.bulk.listing import fragments
from app.bulk.reading import items
from app.bulk.sources import How


def test_a_damaged_row_group_says_what_is_lost(tmp_path: Path) -> None:
    path = Path(as_parquet(tmp_path / "a.parquet", PICTURES, rows=10))
    content = bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(2).column(0).dictionary_page_offset
    begin = begin or pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    content[begin : begin + 64] = os.urandom(64)
    path.write_bytes(content)
    whole, refused = read(str(path))
    assert len(whole) == 30
    assert list(refused) == [f"{path}/row-group-2"]


def test_a_row_group_need_not_fit_into_memory(tmp_path: Path) -> None:
    """Contract: of 64 MB in one row group a small part is in Arrow's memory at a time."""
    rows = [os.urandom(2**18) for _ in range(256)]
    path = str(tmp_path / "a.parquet")
    about = {"use_dictionary": False, "compression": "none", "write_batch_size": 4}
    pq.write_table(pa.table({"image": rows}), path, row_group_size=256, **about)
    del rows
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        (fragment,) = fragments([path])
        assert sum(len(item.read()) for item in items(fragment)) == 2**26
        assert pool.max_memory() < 2**25
    finally:
        pa.set_memory_pool(before)


def test_rows_without_images_are_told(tmp_path: Path) -> None:
    image = PICTURES["lot-b/000.png"]
    rows = [
        {"bytes": image, "path": None},
        {"bytes": None, "path": "b.png"},
        None,
        {"bytes": image},
    ]
    groups = pa.array([None, "a", None, "x" * 300])
    pq.write_table(pa.table({"image": pa.array(rows), "group": groups}), tmp_path / "a.parquet")
    whole, refused = read(str(tmp_path / "a.parquet"))
    assert whole == [f"{tmp_path}/a.parquet/0"]
    assert "only the path 'b.png'" in refused[f"{tmp_path}/a.parquet/1"]
    assert refused[f"{tmp_path}/a.parquet/2"] == "the row has no image"
    assert "at most 200" in refused[f"{tmp_path}/a.parquet/3"]


def test_which_column_has_the_images_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    one = [PICTURES["lot-b/000.png"]]
    pq.write_table(pa.table({"left": one, "right": one, "text": ["a"]}), path)
    with pytest.raises(UnreadableSourceError, match=r"2 \(left, right\): choose one"):
        fragments([path])
    assert len(read(path, How(image_column="left"))[0]) == 1
    with pytest.raises(UnreadableSourceError, match="no column 'text' of bytes"):
        fragments([path], How(image_column="text"))
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(UnreadableSourceError, match="has none: name it"):
        fragments([path])
    Path(path).write_bytes(b"PAR1 is how one begins")
    with pytest.raises(UnreadableSourceError, match="no whole Parquet file"):
        fragments([path])
