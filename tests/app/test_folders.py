"""Folders of the server: listed in order, read in place, never left; who is gone fails alone."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from upload_helpers import LIMITS, contents, run, take, zipped

from app.errors import (
    DamagedSpoolError,
    ForbiddenFolderError,
    InvalidGroupError,
    NoImagesError,
    RefusedMemberError,
    TooManyImagesError,
    UndecodableImageError,
    UnknownFolderError,
    UploadTooLargeError,
)
from app.intake.folders import FolderImages, from_allowed_folder, open_images
from app.intake.grouping import Grouping
from app.intake.spool import Spooled, SpoolFile, as_sources
from app.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that may be imported, with images in it."""
    for name in ("b.PNG", "a/2.jpg", "a/10.jpeg", "a/deep/x.tif"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "root"


def listed(folder: Path, *roots: Path, grouping: Grouping | None = None, **limits: int) -> Spooled:
    """List a folder; on a failure no file is left."""
    path = (roots or (folder,))[0].parent / "listing"
    path.unlink(missing_ok=True)
    done = False
    try:
        bounds = replace(LIMITS, **limits)
        spooled = from_allowed_folder(
            folder, roots or (folder,), bounds, path, grouping or Grouping()
        )
        done = True
        return spooled
    finally:
        assert path.exists() == done


def test_folder_is_listed_by_path(root: Path) -> None:
    """Contract: images at any depth, by their suffix, sorted; clutter and others left alone."""
    for other in ("notes.txt", "a/._2.jpg", "movie.gif", ".jpg"):
        (root / other).write_bytes(b"other")
    (root / "folder.png").mkdir()
    spooled = listed(root, grouping=Grouping(from_folder=True))
    names = ["a/10.jpeg", "a/2.jpg", "a/deep/x.tif", "b.PNG"]
    assert (spooled.images, spooled.bytes) == (4, sum(map(len, names)))
    with open_images(spooled.path, [root]) as images:
        assert [(entry.name, entry.group) for entry in images.entries] == [
            ("a/10.jpeg", "a"),
            ("a/2.jpg", "a"),
            ("a/deep/x.tif", "a/deep"),
            ("b.PNG", ""),
        ]
        assert [images.read(number).decode() for number in range(4)] == names
        assert images.mask is None
        assert [run(source.read()) for source in as_sources(images)] == [n.encode() for n in names]


def test_digest_is_that_of_names_sizes_and_times(root: Path) -> None:
    """Contract: the same listing twice; another after a change or a new name."""
    first = listed(root).digest
    assert listed(root).digest == first
    os.utime(root / "b.PNG", ns=(1, 1))
    second = listed(root).digest
    (root / "b.PNG").rename(root / "c.PNG")
    assert len({first, second, listed(root).digest}) == 3


@pytest.mark.parametrize("folder", ["/", "/etc", "/nowhere", "{root}/..", "{root}/../other", "a"])
def test_only_what_lies_below_a_root_is_imported(folder: str, root: Path) -> None:
    """Contract: whether there is anything outside is not told."""
    with pytest.raises(ForbiddenFolderError, match="outside the folders that may be imported"):
        listed(Path(folder.format(root=root)), root)


def test_without_roots_nothing_is_imported(root: Path) -> None:
    """Contract: the refusal says which setting would allow it."""
    with pytest.raises(ForbiddenFolderError, match="GATEWATCH_IMPORT_ROOTS"):
        from_allowed_folder(root, (), LIMITS, root / "listing", Grouping())


@pytest.mark.parametrize("name", ["nowhere", "b.PNG/x", "b.PNG", "nul\0", "x" * 5000])
def test_missing_folders_are_told(name: str, root: Path) -> None:
    """Contract: of what may be imported; a file is no folder."""
    with pytest.raises((UnknownFolderError, NoImagesError)):
        listed(root / name, root)


def test_links_lead_nowhere_else(root: Path) -> None:
    """Contract: a link to an image below a root is the image; others refuse the import by name."""
    other = root.parent / "other"
    other.mkdir()
    (other / "secret.png").write_bytes(b"secret")
    link = root / "a" / "link.png"

    link.symlink_to(root / "b.PNG")
    with open_images(listed(root).path, [root]) as images:
        assert [entry.name for entry in images.entries].count("a/link.png") == 1
        assert images.read(3) == b"b.PNG"
    for target, error, complaint in (
        (other / "secret.png", ForbiddenFolderError, "'a/link.png' lies outside"),
        (Path("/etc/hostname"), ForbiddenFolderError, "'a/link.png' lies outside"),
        (other, ForbiddenFolderError, "'a/link.png' lies outside"),
        (root, RefusedMemberError, "'a/link.png' is a link to a folder"),
        (root / "gone.png", UnknownFolderError, "'a/link.png' is not there"),
        (link, UnknownFolderError, "'a/link.png' is not there"),
    ):
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(error, match=complaint):
            listed(root)
    link.unlink()
    link.symlink_to(other / "secret.png")
    assert listed(root, root, other).images == 5  # a root too
    (root.parent / "way").symlink_to(root)
    link.unlink()
    assert listed(root.parent / "way", root).images == 4  # a link to what may be imported
    assert listed(root, root.parent / "way").images == 4  # a root that is a link


def test_image_that_changed_fails_alone(root: Path) -> None:
    """Contract: gone, changed, swapped for a link or a pipe: its own error, as for bad bytes."""
    spooled = listed(root)
    secret = root.parent / "secret"
    secret.write_bytes(b"secret")
    os.utime(secret, ns=(0, (root / "b.PNG").stat().st_mtime_ns))
    with open_images(spooled.path, [root]) as images:
        assert isinstance(images, FolderImages)
        target = root / "b.PNG"
        times = target.stat().st_mtime_ns

        def fails(complaint: str) -> None:
            with pytest.raises(UndecodableImageError, match=complaint):
                images.read(3)
            assert images.read(0) == b"a/10.jpeg"

        target.write_bytes(b"longer than before")
        os.utime(target, ns=(0, times))
        fails("was changed after it was listed")
        target.write_bytes(b"B.png")
        os.utime(target, ns=(0, times + 1))
        fails("was changed after it was listed")
        target.unlink()
        fails("not there")
        target.symlink_to(secret)
        fails("lies outside")
        target.unlink()
        os.mkfifo(target)
        fails("was changed")
    elsewhere = [root.parent / "elsewhere"]  # the setting of now counts, not that of the listing
    with open_images(spooled.path, elsewhere) as images, pytest.raises(UndecodableImageError):
        images.read(0)


def test_limits_name_their_setting(root: Path) -> None:
    """Contract: as much as allowed is taken, one more is refused."""
    total = sum(path.stat().st_size for path in root.rglob("*.*"))
    assert listed(root, images=4, total_bytes=total, image_bytes=12).images == 4
    with pytest.raises(TooManyImagesError, match="max_job_images"):
        listed(root, images=3)
    with pytest.raises(UploadTooLargeError, match="max_job_bytes"):
        listed(root, total_bytes=total - 1)
    with pytest.raises(UploadTooLargeError, match=r"'a/deep/x\.tif'.*max_image_bytes"):
        listed(root, image_bytes=11)


def test_names_and_groups_that_cannot_be_kept(root: Path) -> None:
    """Contract: refused by name; so are groups for names that are not there."""
    with pytest.raises(InvalidGroupError, match=r"'nobody\.png'"):
        listed(root, grouping=Grouping(named={"nobody.png": "x"}))
    (root / ("x" * 201)).mkdir()
    (root / ("x" * 201) / "a.png").write_bytes(b"a")
    with pytest.raises(InvalidGroupError, match="at most 200"):
        listed(root, grouping=Grouping(from_folder=True))
    (root / os.fsdecode(b"\xff.png")).write_bytes(b"a")
    with pytest.raises(RefusedMemberError, match="not UTF-8"):
        listed(root)
    (root / os.fsdecode(b"\xff.png")).rename(root / "a\n.png")
    with pytest.raises(RefusedMemberError, match="control characters"):
        listed(root)


def test_nothing_is_refused(tmp_path: Path) -> None:
    """Contract: naming the suffixes looked for."""
    (tmp_path / "root").mkdir()
    with pytest.raises(NoImagesError, match=r"\.bmp, \.jpeg, \.jpg"):
        listed(tmp_path / "root")


def test_uploads_and_listings_open_alike(root: Path, tmp_path: Path) -> None:
    """Contract: who opens needs not know what was kept; damage is told either way."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    take(folder, zipped([("a.png", b"one")]), "application/zip")
    with open_images(folder / "spool", [root]) as images:
        assert type(images) is SpoolFile
        assert images.read(0) == b"one"
    assert contents(folder / "spool")[0][0].file is None
    path = listed(root).path
    path.write_bytes(path.read_bytes().replace(b"b.PNG", b"c.PNG"))
    with pytest.raises(DamagedSpoolError):
        open_images(path, [root])


@pytest.mark.parametrize(
    ("text", "roots"),
    [("", ()), ("/data", (Path("/data"),)), ("/a:/b c:", (Path("/a"), Path("/b c")))],
)
def test_roots_are_a_setting(text: str, roots: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: absolute paths with colons between, as in PATH."""
    monkeypatch.setenv("GATEWATCH_IMPORT_ROOTS", text)
    assert Settings().import_roots == roots
    monkeypatch.setenv("GATEWATCH_IMPORT_ROOTS", "data")
    with pytest.raises(ValueError, match="data is not an absolute path"):
        Settings()
