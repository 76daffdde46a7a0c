"""Tar files that are damaged, hostile or empty: what is lost is said, nothing else happens."""

import io
import tarfile
from pathlib import Path

import pytest
from bulk_helpers import PICTURES, add, as_tar, part_of, read

from app.bulk.errors import TooManyFailedError
from app.bulk.part import Allowed
from app.bulk.sources import How


def test_a_tar_that_is_cut_short_says_what_is_lost(tmp_path: Path) -> None:
    path = Path(as_tar(tmp_path / "a.tar", PICTURES, json_too=False))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    whole, refused = read(str(path))
    assert 10 < len(whole) < 30
    assert list(refused) == [str(path)]
    assert f"the images after {whole[-1]} are left out" in refused[str(path)]
    with pytest.raises(
        TooManyFailedError, match=r"1 file\(s\) are damaged.*--allow-damaged.*1-of-1"
    ):
        part_of([str(path)], tmp_path)
    part = part_of([str(path)], tmp_path, allowed=Allowed(damaged=True))
    assert (part.images, len(part.rejected), len(part.rests)) == (len(whole) + 1, 1, 1)


@pytest.mark.parametrize("kind", ["joined", "header", "gzip"])
def test_a_damaged_tar_says_so(kind: str, tmp_path: Path) -> None:
    path = Path(as_tar(tmp_path / "a.tar", PICTURES, mode="w:gz" if kind == "gzip" else "w"))
    content = bytearray(path.read_bytes())
    if kind == "joined":
        content = content + content
    elif kind == "gzip":
        content[len(content) // 2] ^= 255
    else:
        at = content.index(b"lot-b/030.png".ljust(100, b"\0"))
        content[at + 120] ^= 255
    path.write_bytes(content)
    whole, refused = read(str(path))
    assert len(refused) == 1
    assert "left out, for the file cannot be read on" in refused[str(path)]
    assert len(whole) == {"joined": 40, "header": 30}.get(kind, len(whole))


def test_what_is_no_plain_image_in_a_tar_is_refused_by_name(tmp_path: Path) -> None:
    """Contract: nothing is extracted, linked or guessed; the others are read."""
    image = PICTURES["lot-b/000.png"]
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "a.png", image)
        for name, kind in (("link.png", tarfile.SYMTYPE), ("device.png", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        add(archive, "../up.png", image)
        add(archive, "/root.png", image)
        add(archive, "a.png", image)
        add(archive, "large.png", bytes(200_000))
        add(archive, "notes.txt", b"words")
        add(archive, "z.json", b"[" * 100_000)
        add(archive, "z.png", image)
    path = str(tmp_path / "a.tar")
    whole, refused = read(path, How(image_bytes=100_000))
    assert whole == [f"{path}/a.png", f"{path}/z.png"]
    names = ["link.png", "device.png", "../up.png", "/root.png", "a.png", "large.png"]
    assert list(refused) == [f"{path}/{name}" for name in names]


def test_a_tar_that_unpacks_to_far_more_is_left(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        add(archive, "a.png", bytes(50_000_000))
        add(archive, "b.png", bytes(50_000_000))
    _, refused = read(str(tmp_path / "a.tgz"))
    assert any("200 times its size" in why for why in refused.values())


def test_an_empty_tar_is_no_image(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    assert read(str(tmp_path / "a.tar")) == ([], {})
    (tmp_path / "b.tar").write_bytes(io.BytesIO().getvalue())
    whole, refused = read(str(tmp_path / "b.tar"))
    assert (whole, len(refused)) == ([], 1)
