"""Stores that fail, and files that have gone: neither is a damaged image."""

import os
from pathlib import Path

import pytest
from bulk_helpers import PICTURES, as_folder, as_parquet, as_tar

from app.bulk.listing import fragments
from app.bulk.reading import items
from app.errors import StorageUnavailableError, UndecodableImageError


def test_a_bucket_that_fails_is_no_damaged_image(
    bucket_location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the run ends, to be gone on with; no image is left out for it."""
    import obstore

    from app.storage.buckets import store_of

    bucket, _, prefix = bucket_location.removeprefix("s3://").partition("/")
    obstore.put(store_of(bucket, prefix), "a.tar", Path(as_tar(tmp_path / "a.tar", PICTURES)))
    obstore.put(store_of(bucket, prefix), "b.png", PICTURES["lot-b/000.png"])
    obstore.put(
        store_of(bucket, prefix), "c.parquet", Path(as_parquet(tmp_path / "c.parquet", PICTURES))
    )
    listed = fragments([bucket_location])
    assert {each.kind for each in listed} == {"objects", "tar", "parquet"}
    asked = obstore.get

    def refuse(*arguments: object, **options: object) -> object:
        begin, _ = options.get("options", {"range": (0, 0)})["range"]  # type: ignore[index]
        if begin or not options:
            raise OSError("error sending request")
        return asked(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("app.bulk.objects.PIECE_BYTES", 4096)
    monkeypatch.setattr("obstore.get", refuse)
    for each in listed:
        with pytest.raises(StorageUnavailableError, match="the store fails"):
            [item.read() for item in items(each)]


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="the file that no one can read")
@pytest.mark.parametrize("name", ["a.png", "a.tar"])
def test_a_disk_that_fails_is_no_damaged_image(name: str, tmp_path: Path) -> None:
    """Contract: the run ends, to be gone on with; no image or file is left out for it."""
    (tmp_path / name).symlink_to("/proc/self/mem")  # reading its beginning is an EIO
    (fragment,) = fragments([str(tmp_path)])
    with pytest.raises(StorageUnavailableError, match="Input/output error"):
        [item.read() for item in items(fragment)]


@pytest.mark.parametrize("gone", ["file", "folder", "all"])
def test_whose_fault_it_is_that_a_file_has_gone(gone: str, tmp_path: Path) -> None:
    """Contract: its own where the rest is there; else what was mounted has gone."""
    top = Path(as_folder(tmp_path / "top", {"a.png": b"a", "b.png": b"b"}))
    (fragment,) = fragments([str(top)])
    (top / "a.png").unlink()
    if gone != "file":
        (top / "b.png").unlink()
    if gone == "folder":
        top.rmdir()
    kind = UndecodableImageError if gone == "file" else StorageUnavailableError
    with pytest.raises(kind, match="cannot be read: No such file"):
        next(items(fragment)).read()
