"""Archives that bite: bombs, headers that lie, and damage of any kind."""

import gzip
import io
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upload_helpers import (
    FILES,
    GZIP,
    LIMITS,
    TAR,
    ZIP,
    contents,
    header,
    take,
    tarred,
    uploads,
    zipped,
)

from app.errors import (
    CompressionRatioError,
    MalformedUploadError,
    RefusedMemberError,
    ServiceError,
    TooManyImagesError,
)

ONE = [("a.png", b"one")]
ZEROS = bytes(2**21)
KINDS = ("zip", "tar")


def test_bombs_are_refused(tmp_path: Path) -> None:
    """Contract: as they unpack, whatever the headers say: one member, many, or a whole stream."""
    noise = np.random.default_rng(0).bytes(4000)
    many = [(str(number), bytes(200_000) + noise[:100]) for number in range(20)]
    for body, media, complaint in (
        (zipped([("a.png", noise), ("bomb.png", ZEROS)]), ZIP, "'bomb.png' unpacks to more than"),
        (zipped(many), ZIP, "the archive unpacks to more than 200"),
        (gzip.compress(tarred([("a.png", noise), ("bomb.png", ZEROS)])), GZIP, "the archive"),
        (gzip.compress(tarred([*ONE, ("._a", ZEROS)])), GZIP, "the archive"),
        (gzip.compress(tarred(ONE) + ZEROS), GZIP, "the archive"),
    ):
        with pytest.raises(CompressionRatioError, match=complaint) as caught:
            take(tmp_path, body, media)
        assert "max_compression_ratio" in str(caught.value)


def test_overlapping_members_are_a_bomb(tmp_path: Path) -> None:
    """Contract: a list that names the same bytes many times is no list of many images."""
    noise = np.random.default_rng(0).bytes(100_000)
    body = zipped([("0.png", noise + bytes(900_000))])
    at, end = body.find(b"PK\1\2"), body.find(b"PK\5\6")
    count = 40
    listed = body[at:end] * count
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(listed), at, 0)
    limits = replace(LIMITS, total_bytes=2**28, ratio=5)
    with pytest.raises((RefusedMemberError, MalformedUploadError)):  # one name, or Python sees it
        take(tmp_path, body[:at] + listed + tail, ZIP, limits=limits)


def test_list_of_members_is_bounded(tmp_path: Path) -> None:
    """Contract: before it is read into memory, whatever number it says it has."""
    many = zipped([(f"{number}" + "x" * 300, b"") for number in range(400)])
    with pytest.raises(TooManyImagesError, match="list of members"):
        take(tmp_path, many, ZIP, limits=replace(LIMITS, images=10))
    lying = bytearray(many)
    lying[-14:-10] = b"\1\0\1\0"  # the number of members, twice
    with pytest.raises(TooManyImagesError, match="list of members"):
        take(tmp_path, bytes(lying), ZIP, limits=replace(LIMITS, images=10))


@pytest.mark.parametrize(
    ("offset", "lie"), [(24, 2**31), (24, 1), (20, 2**31), (20, 1), (42, 2**30), (16, 1)]
)
def test_zip_lies_are_told(offset: int, lie: int, tmp_path: Path) -> None:
    """Contract: sizes, place and checksum of the list; more than there is, or less."""
    body = bytearray(zipped([("a.png", np.random.default_rng(0).bytes(5000))]))
    at = body.find(b"PK\1\2") + offset
    body[at : at + 4] = struct.pack("<L", lie)
    try:
        take(tmp_path, bytes(body), ZIP)
    except MalformedUploadError:
        return
    assert lie == 2**31  # more than there is: the end and the checksum have proved the content
    assert contents(tmp_path / "spool")[0][0].size == 5000


def test_zip64_lies_are_told(tmp_path: Path) -> None:
    """Contract: sizes of 2**63 are believed by nobody."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made, made.open("a.png", "w", force_zip64=True) as member:
        member.write(b"one")
    body = bytearray(file.getvalue())
    at = body.find(b"PK\1\2")
    extra = struct.pack("<HHQQ", 1, 16, 2**63, 2**62)
    body[at + 20 : at + 28] = b"\xff" * 8
    body[at + 30 : at + 32] = struct.pack("<H", len(extra))
    body[at + 51 : at + 51] = extra
    end = body.find(b"PK\5\6")
    body[end + 12 : end + 16] = struct.pack("<L", end - at)
    with pytest.raises(MalformedUploadError):
        take(tmp_path, bytes(body), ZIP)


@pytest.mark.parametrize("size", [4, 511, 513, 2**20, 2**33 - 1, -5])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_tar_lies_are_told(size: int, kind: bytes, tmp_path: Path) -> None:
    """Contract: a size that leads past the next header or the end, also of a long name."""
    first = header("a", type=kind, size=size).tobuf(tarfile.GNU_FORMAT)
    body = first + b"one".ljust(512, b"\0") + tarred([("b.png", b"two" * 1000)])
    try:
        take(tmp_path, body, TAR)
    except MalformedUploadError:
        return
    assert size in {4, 511}  # within its block: what is there is what is meant


def test_attributes_cannot_change_sizes(tmp_path: Path) -> None:
    """Contract: a global attribute that contradicts a header is no larger image."""
    lie = tarfile.TarInfo.create_pax_global_header({"size": "1000"})
    with pytest.raises(MalformedUploadError, match="no possible size"):
        take(tmp_path, lie + tarred([("a.png", b"one")]), TAR)
    long = tarfile.TarInfo("a" * 200 + ".png").tobuf(tarfile.PAX_FORMAT)
    assert take(tmp_path, long + bytes(1024), TAR).images == 1
    chain = header("x", type=tarfile.GNUTYPE_LONGNAME, size=2).tobuf() + b"x".ljust(512, b"\0")
    with pytest.raises(MalformedUploadError, match="32768 bytes"):
        take(tmp_path, chain * 40 + tarred(ONE), TAR)


def test_damage_loses_no_images_in_silence(tmp_path: Path) -> None:
    """Contract: what tarfile forgives: a bad second header, no end, and more after the end."""
    whole = tarred([*ONE, ("b.png", b"two"), ("c.png", b"three")])
    bad = bytearray(whole)
    bad[1024 + 10] ^= 1
    for body in (bytes(bad), whole[:2048], whole + tarred(ONE), whole + b"x"):
        with pytest.raises(MalformedUploadError):
            take(tmp_path, body, TAR)


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (tarred(ONE), ZIP),
        (zipped(ONE), TAR),
        (gzip.compress(zipped(ONE)), GZIP),
        (b"", ZIP),
        (b"", TAR),
        (gzip.compress(tarred(ONE)) + b"garbage", GZIP),
    ],
    ids=["tar as zip", "zip as tar", "zip in gzip", "no zip", "no tar", "garbage behind"],
)
def test_other_things_than_archives_are_told(body: bytes, media: str, tmp_path: Path) -> None:
    """Contract: whatever their type says."""
    with pytest.raises(MalformedUploadError, match="damaged or cut short"):
        take(tmp_path, body, media)


@pytest.mark.parametrize("kind", ["zip", "stored", "tar", "gnu tar", "tar.gz"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_damaged_archives_fail_in_words(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law: whatever is cut or changed, images or a named error; ``take`` sees nothing is left."""
    files = [(name, content[:300]) for name, content in FILES]
    body, media = uploads(files)[kind]
    damaged = bytearray(body)
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("uploads")
    try:
        take(folder, bytes(damaged), media)
    except ServiceError:
        return
    found = [content for _, content in contents(folder / "spool")]
    if kind in {"zip", "stored"}:  # a tar has no checksums of contents, nor of what ends it
        assert set(found) <= {content for _, content in files}
