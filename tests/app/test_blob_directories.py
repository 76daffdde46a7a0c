"""What only a directory of blobs can do wrong: be full, be shared, lie on another file system."""

import os
import time
from pathlib import Path

import pytest

from app.errors import StorageUnavailableError
from app.storage.locations import blobs_at


def test_a_folder_that_is_removed_under_a_put_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a put succeeds though another process empties the folder at the worst moment."""
    blobs, other, rename = blobs_at(tmp_path), blobs_at(tmp_path), os.replace

    def rename_late(source: Path, target: Path) -> None:
        monkeypatch.setattr("os.replace", rename)
        other.delete_all("a")
        rename(source, target)

    blobs.put("a/b/old", b"old")
    monkeypatch.setattr("os.replace", rename_late)
    blobs.put("a/b/new", b"new")
    assert blobs.names() == ["a/b/new"]


def test_what_a_killed_process_left_is_swept_a_day_later(tmp_path: Path) -> None:
    """Contract: at a start; what may be under way in another process stays."""
    blobs_at(tmp_path)
    old, new = tmp_path / ".partial" / "old", tmp_path / ".partial" / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    assert blobs_at(tmp_path).names() == []
    assert list(new.parent.iterdir()) == [new]


def test_a_file_on_another_file_system_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: where no second name can be made, the bytes are copied, and the file is taken."""

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    file = tmp_path / "upload"
    file.write_bytes(b"bytes")
    blobs = blobs_at(tmp_path / "blobs")
    blobs.put_file("a", file)
    assert blobs.get("a") == b"bytes"
    assert not file.exists()


def test_a_directory_that_fails_is_unavailable(tmp_path: Path) -> None:
    """Contract: the error names the blob and the system's reason, and an upload keeps its file."""
    blobs, file = blobs_at(tmp_path / "blobs"), tmp_path / "upload"
    blobs.put("a", b"x")
    file.write_bytes(b"y")
    for put in (lambda: blobs.put("a/b", b"y"), lambda: blobs.put_file("a/b", file)):
        with pytest.raises(StorageUnavailableError, match="fails at 'a/b': File exists"):
            put()
    assert file.read_bytes() == b"y"
    assert [path.name for path in (tmp_path / "blobs").rglob("*")] == [".partial", "a"]
    with pytest.raises(StorageUnavailableError, match="Not a directory"):
        blobs_at(file / "blobs")
