"""One suite for both stores of blobs: a directory, and a bucket behind a real S3 API."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import MissingBlobError, StorageError
from app.storage.blobs import Blobs, check
from app.storage.locations import blobs_at

HOSTILE = [
    *("", "/", ".", "..", "a/", "/a", "a//b", "/etc/passwd", "../a", "a/../b", "a/..", "a/."),
    *(".partial/x", "a/.hidden", "~/a", "a b", "a\\b", "a\0b", "a\n", "ä", "a%2e%2e/b", "-rf"),
    *("a?x=1", "a#b", "a:b", "a" * 129, "/".join(["a" * 100] * 6)),
]


@pytest.fixture(params=["directory", "bucket"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where blobs are kept; nothing is there yet."""
    if request.param == "bucket":
        found: str = request.getfixturevalue("bucket_location")
        return found
    return str(tmp_path / "blobs")


@pytest.fixture
def blobs(location: str) -> Blobs:
    """An empty store."""
    return blobs_at(location)


@pytest.mark.parametrize(
    "content", [b"", b"\0\xff\r\n", os.urandom(40_000_000)], ids=["empty", "binary", "40 MB"]
)
def test_what_was_put_is_got(blobs: Blobs, content: bytes, tmp_path: Path) -> None:
    """Law: bytes and files come back the same, by either way of reading."""
    blobs.put("detectors/7/fit-1.safetensors", content)
    file = tmp_path / "upload"
    file.write_bytes(content)
    blobs.put_file("detectors/7/fit-2.safetensors", file)
    assert not file.exists()
    for name in ("detectors/7/fit-1.safetensors", "detectors/7/fit-2.safetensors"):
        assert blobs.get(name) == content
        with blobs.open_local(name) as path:
            assert path.read_bytes() == content


def test_a_later_put_replaces_and_another_process_sees_it(blobs: Blobs, location: str) -> None:
    """Law: a store has no state of its own."""
    other = blobs_at(location)
    blobs.put("a/b", b"one")
    assert other.get("a/b") == b"one"
    other.put("a/b", b"other")
    assert blobs.get("a/b") == b"other"
    assert blobs.names() == ["a/b"]


def test_a_missing_blob_is_named(blobs: Blobs, tmp_path: Path) -> None:
    """Contract: also where a part of the name is a blob, or the name is a folder."""
    blobs.put("a/b", b"")
    for name in ("c", "a", "a/b/c", "a/c"):
        with pytest.raises(MissingBlobError, match=f"no blob {name}:"):
            blobs.get(name)
        with pytest.raises(MissingBlobError, match=f"no blob {name}:"), blobs.open_local(name):
            pass
    with pytest.raises(FileNotFoundError):
        blobs.put_file("a/d", tmp_path / "none")
    assert blobs.names() == ["a/b"]


def test_a_listing_has_what_is_in_the_folder(blobs: Blobs) -> None:
    """Contract: all depths, in order, with sizes and times; a folder is not a beginning."""
    before = datetime.now(UTC) - timedelta(seconds=1)  # S3 tells whole seconds
    for name, size in (("ab/c", 1), ("a/z", 2), ("a/b/c", 3), ("d", 4)):
        blobs.put(name, b"x" * size)
    assert blobs.names() == ["a/b/c", "a/z", "ab/c", "d"]
    assert [(blob.name, blob.size) for blob in blobs.listing("a")] == [("a/b/c", 3), ("a/z", 2)]
    assert all(before <= blob.put_at <= datetime.now(UTC) for blob in blobs.listing())
    for empty in ("none", "a/none", "d", "a/z"):
        assert blobs.names(empty) == []


def test_an_old_file_is_put_now(blobs: Blobs, tmp_path: Path) -> None:
    """Law: the age in a listing is that of the blob, or a sweep would take what was just put."""
    file = tmp_path / "upload"
    file.write_bytes(b"x")
    os.utime(file, (0, 0))
    blobs.put_file("a", file)
    (blob,) = blobs.listing()
    assert datetime.now(UTC) - blob.put_at < timedelta(hours=1)


def test_a_listing_has_more_than_one_page(blobs: Blobs) -> None:
    """Contract: S3 answers at most 1,000 names at once, and deletes as many."""
    names = [f"many/{i:04}" for i in range(1001)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: blobs.put(name, b""), names))
    assert blobs.names("many") == names
    blobs.delete_all("many")
    assert blobs.names() == []


def test_deleting_twice_is_deleting_once(blobs: Blobs) -> None:
    """Law: delete and delete_all take what they name and nothing else, and repeat."""
    for name in ("a/b", "a/c/d", "ab", "e"):
        blobs.put(name, b"x")
    for _ in range(2):
        blobs.delete("e")
        blobs.delete("a")  # a folder is no blob
        blobs.delete("e/f")
        assert blobs.names() == ["a/b", "a/c/d", "ab"]
    for _ in range(2):
        blobs.delete_all("a")
        blobs.delete_all("ab")  # a blob is no folder
        assert blobs.names() == ["ab"]
    blobs.put("a/b", b"again")
    assert blobs.get("a/b") == b"again"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_name_reaches_a_store(blobs: Blobs, name: str, tmp_path: Path) -> None:
    """Contract: every method refuses it, and nothing is written, read or removed anywhere."""
    blobs.put("a/b", b"x")
    file = tmp_path / "upload"
    file.write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    for refused in (
        lambda: blobs.put(name, b"y"),
        lambda: blobs.put_file(name, file),
        lambda: blobs.get(name),
        lambda: blobs.open_local(name).__enter__(),
        lambda: blobs.delete(name),
        lambda: blobs.delete_all(name),
        lambda: blobs.listing(name or "."),
    ):
        with pytest.raises(ValueError, match="is not the name of a blob"):
            refused()
    assert blobs.names() == ["a/b"]
    assert sorted(tmp_path.rglob("*")) == before


@given(st.text("ab./", max_size=12) | st.text("a./\\\0~-", max_size=6))
def test_a_name_that_passes_stays_inside(name: str) -> None:
    """Law: whatever passes the check is inside the directory that it is appended to."""
    try:
        check(name)
    except ValueError:
        return
    inside = os.path.normpath(f"/store/{name}")
    assert inside == f"/store/{name}"
    assert not any(part.startswith(".") for part in name.split("/"))


KILLED = """
import sys
from pathlib import Path
from app.storage.locations import blobs_at
blobs, file = blobs_at(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
if sys.argv[3] == "put":
    content = file.read_bytes()
    for i in range(10**6):
        blobs.put(f"a/{i}", content)
for i in range(10**6):
    copy = file.with_name(f"copy-{i}")
    copy.write_bytes(file.read_bytes())
    blobs.put_file(f"a/{i}", copy)
"""


@pytest.mark.parametrize("way", ["put", "put_file"])
def test_what_a_killed_process_was_putting_is_not_there(
    location: str, tmp_path: Path, way: str
) -> None:
    """Law: after SIGKILL at any moment every visible blob is whole."""
    content = os.urandom(12_000_000)  # three parts of an upload
    blobs = blobs_at(location)
    for i in range(4):
        folder = tmp_path / f"run-{i}"
        folder.mkdir()
        file = folder / "upload"
        file.write_bytes(content)
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, location, file, way], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.05 + 0.13 * i)
            process.send_signal(signal.SIGKILL)
        for name in blobs.names():
            assert blobs.get(name) == content
        blobs.delete_all("a")


@pytest.mark.parametrize("location", ["gs://bucket/a", "http://host/a", "S3://bucket", "file:///a"])
def test_other_locations_are_refused(location: str) -> None:
    """Contract: the message says which there are, and repeats no address."""
    with pytest.raises(StorageError, match=r"give a directory or s3://BUCKET/FOLDER$"):
        blobs_at(location)
