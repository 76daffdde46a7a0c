"""What archives may hold: which members are taken, passed over or refused."""

import bz2
import gzip
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from upload_helpers import (
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
    RefusedMemberError,
    TooManyImagesError,
    UploadTooLargeError,
)

ONE = [("a.png", b"one")]
ZEROS = bytes(2**21)
KINDS = ("zip", "tar")


def archive(kind: str, names: list[str]) -> tuple[bytes, str]:
    """Return an archive of files so named."""
    return uploads([(name, b"image") for name in names])[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../a.png", "a/../../b.png", "..\\a.png", "C:\\a.png", "\\a.png", "a/..", "\\"],
)
def test_paths_that_lead_out_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    """Contract: by name, with how to pack; nothing would be written there anyway."""
    with pytest.raises(RefusedMemberError, match="relative"):
        take(tmp_path, *archive(kind, ["fine.png", name]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["a.png", "b.png", "a.png"], "'a.png' is there twice"),
        (["a.png", "./a.png"], "'a.png' is there twice"),
        (["d/a.png", "d\\a.png"], "'d/a.png' is there twice"),
        (["a\n.png"], r"'a\\n.png' has control characters"),
        (["x" * 1001], "1001 characters: at most 1000"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_no_labels_are_refused(
    kind: str, names: list[str], complaint: str, tmp_path: Path
) -> None:
    """Contract: naming the member."""
    with pytest.raises(RefusedMemberError, match=complaint):
        take(tmp_path, *archive(kind, names))


@pytest.mark.parametrize("at", [0, 1])
def test_names_do_not_end_at_a_zero_byte(at: int, tmp_path: Path) -> None:
    """Contract: what Python would read as an empty or a shorter name is refused."""
    body = zipped([("ab.png", b"one")])
    hidden = b"ab.png"[:at] + b"\0" + b"ab.png"[at + 1 :]
    with pytest.raises(RefusedMemberError, match="control characters"):
        take(tmp_path, body.replace(b"ab.png", hidden), ZIP)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_cleaned(kind: str, tmp_path: Path) -> None:
    """Contract: of what packers put before them; clutter and folders are passed over."""
    clutter = ["__MACOSX/a.png", "x/._a.png", ".DS_Store", "x/Thumbs.db", "x/desktop.ini"]
    body, media = archive(kind, ["./a.png", "x\\b.png", *clutter, "x//c.txt", "manifest.json"])
    take(tmp_path, body, media)
    names = [image.name for image, _ in contents(tmp_path / "spool")]
    assert names == ["a.png", "x/b.png", "x/c.txt", "manifest.json"]


def test_folders_are_passed_over(tmp_path: Path) -> None:
    """Contract: even one with the name of the archive's root."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.mkdir("lot")
        made.writestr("lot/a.png", b"one")
    folders = [(header(name, type=tarfile.DIRTYPE), b"") for name in ("./", "lot")]
    for body, media in (
        (file.getvalue(), ZIP),
        (tarred([*folders, ("lot/a.png", b"one")]), TAR),
    ):
        take(tmp_path, body, media)
        assert [image.name for image, _ in contents(tmp_path / "spool")] == ["lot/a.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_passed_over_members_are_bounded_too(kind: str, tmp_path: Path) -> None:
    """Contract: else a stream of clutter would never end."""
    limits = replace(LIMITS, images=3)
    clutter = [f"{number}/.DS_Store" for number in range(3)]
    take(tmp_path, *archive(kind, [*clutter, "a.png"]), limits=limits)
    with pytest.raises(TooManyImagesError, match="max_job_images"):
        take(tmp_path, *archive(kind, [*clutter, "3/Thumbs.db", "a.png"]), limits=limits)
    noise = np.random.default_rng(0).bytes(10_000)
    with pytest.raises(UploadTooLargeError, match="max_job_bytes"):
        take(tmp_path, tarred([("._a", noise)]), TAR, limits=replace(LIMITS, total_bytes=9000))


@pytest.mark.parametrize(
    "member",
    [
        header("x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        header("x", type=tarfile.LNKTYPE, linkname="a.png"),
        header("x", type=tarfile.CHRTYPE),
        header("x", type=tarfile.BLKTYPE),
        header("x", type=tarfile.FIFOTYPE),
        header("x", type=tarfile.GNUTYPE_SPARSE),
        header("x", type=b"V"),
    ],
)
def test_tar_members_that_are_no_files_are_refused(member: tarfile.TarInfo, tmp_path: Path) -> None:
    """Contract: by name; what a link leads to is not read."""
    with pytest.raises(RefusedMemberError, match="'x' is a link, a device or a sparse file"):
        take(tmp_path, tarred([*ONE, (member, b"")]), TAR)


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666])
def test_zip_members_that_are_no_files_are_refused(mode: int, tmp_path: Path) -> None:
    """Contract: by name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        link = zipfile.ZipInfo("x")
        link.external_attr = mode << 16
        made.writestr(link, "/etc/passwd")
    with pytest.raises(RefusedMemberError, match="'x' is a link or a device"):
        take(tmp_path, file.getvalue(), ZIP)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method: int, tmp_path: Path) -> None:
    """Contract: they may unpack any amount at once."""
    with pytest.raises(RefusedMemberError, match=f"method {method}: pack it with deflate"):
        take(tmp_path, zipped(ONE, method), ZIP)


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    """Contract: by name; the flag stands in both headers."""
    body = bytearray(zipped(ONE))
    body[6] |= 1
    body[body.find(b"PK\1\2") + 8] |= 1
    with pytest.raises(RefusedMemberError, match=r"'a\.png' is encrypted"):
        take(tmp_path, bytes(body), ZIP)


@pytest.mark.parametrize("kind", ["zip", "stored", "tar", "tar.gz"])
@pytest.mark.parametrize(
    ("inner", "what"),
    [
        (zipped(ONE), "zip"),
        (zipped([]), "zip"),
        (tarred(ONE), "tar"),
        (tarred(ONE, tarfile.GNU_FORMAT), "tar"),
        (gzip.compress(b"one", mtime=0), "gzip"),
        (bz2.compress(b"one"), "bzip2"),
        (bz2.compress(b""), "bzip2"),
        (b"MSCF\0\0\0\0", "cabinet"),
        (b"\xfd7zXZ\0", "xz"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\7\0", "RAR"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ],
)
def test_archives_in_archives_are_refused(
    kind: str, inner: bytes, what: str, tmp_path: Path
) -> None:
    """Contract: by what they are, whatever they are called."""
    with pytest.raises(RefusedMemberError, match=rf"'b\.png' is an? {what}"):
        take(tmp_path, *uploads([*ONE, ("b.png", inner)])[kind])


@pytest.mark.parametrize("text", [b"BZh9 is a street", b"MSCF is a company", b"BZh", b"MSCF\0"])
def test_what_begins_like_an_archive_is_none(text: bytes, tmp_path: Path) -> None:
    """Contract: letters that a text may begin with prove nothing."""
    assert take(tmp_path, *uploads([("a.txt", text)])["tar"]).images == 1
