"""Law: the same images make the same part, whatever they lie in. Contract: no loss is silent."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_helpers import add, as_folder, as_parquet, as_tar, part_of, pictures, same

from app.bulk.errors import TooManyFailedError, UnreadableSourceError
from app.bulk.listing import fragments
from app.bulk.part import Allowed, Part
from app.bulk.reading import items
from app.bulk.sources import How
from app.errors import (
    StorageUnavailableError,
    UndecodableImageError,
)
from detector.errors import InvalidSpecError, SampleError

PATTERN = How(group_pattern="(lot-[^/]+)/")
PICTURES = pictures(40)
DAMAGED = {**PICTURES, "lot-b/cut.png": next(iter(PICTURES.values()))[:300]}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Part:
    """The part of the pictures in a folder, one of them damaged."""
    folder = tmp_path_factory.mktemp("expected")
    return part_of([as_folder(folder / "top", DAMAGED)], folder, how=PATTERN)


def test_the_folder_is_told_apart(expected: Part) -> None:
    """Contract: there is something of each kind to compare."""
    assert expected.images == 41
    assert len(expected.rejected) == 1
    assert 5 < expected.held.seen < 20
    assert {image.group for image in expected.fitted} == {"lot-ä", "lot-b"}


WRITERS: dict[str, Callable[[Path], str]] = {
    "tar": lambda top: as_tar(top / "a.tar", DAMAGED),
    "tar.gz": lambda top: as_tar(top / "a.tar.gz", DAMAGED, mode="w:gz"),
    "parquet": lambda top: as_parquet(top / "a.parquet", DAMAGED),
    "plain-parquet": lambda top: as_parquet(top / "a.parquet", DAMAGED, rows=100, struct=False),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_file_equals_the_folder(kind: str, expected: Part, tmp_path: Path) -> None:
    """Law: groups come from the JSON document or column beside each image."""
    same(part_of([WRITERS[kind](tmp_path)], tmp_path), expected, names=False)


def test_a_folder_of_everything_equals_the_folder(expected: Part, tmp_path: Path) -> None:
    """Law: images, a tar and a Parquet file below one folder are all of them."""
    thirds = [dict(list(DAMAGED.items())[at::3]) for at in range(3)]
    top = tmp_path / "top"
    as_folder(top / "alone", thirds[0])
    as_tar(top / "b.tar", thirds[1])
    as_parquet(top / "c.parquet", thirds[2])
    (top / "._b.tar").write_bytes(b"clutter")
    (top / "readme.txt").write_bytes(b"words")
    same(part_of([str(top)], tmp_path, how=PATTERN), expected, names=False)


def test_several_sources_equal_the_folder(expected: Part, tmp_path: Path) -> None:
    thirds = [dict(list(DAMAGED.items())[at::2]) for at in range(2)]
    sources = [as_folder(tmp_path / "top", thirds[0]), as_tar(tmp_path / "b.tar", thirds[1])]
    same(part_of(sources, tmp_path, how=PATTERN), expected, names=False)
    same(part_of(sources[::-1], tmp_path / "2", how=PATTERN), expected, names=False)


def test_a_bucket_equals_the_folder(expected: Part, bucket_location: str, tmp_path: Path) -> None:
    """Law: objects, and tar and Parquet files among them, read in pieces."""
    import obstore

    from app.storage.buckets import store_of

    bucket, _, prefix = bucket_location.removeprefix("s3://").partition("/")
    store = store_of(bucket, prefix)
    thirds = [dict(list(DAMAGED.items())[at::3]) for at in range(3)]
    for name, content in thirds[0].items():
        obstore.put(store, f"alone/{name}", content)
    obstore.put(store, "files/b.tar", Path(as_tar(tmp_path / "b.tar", thirds[1])))
    obstore.put(store, "files/c.parquet", Path(as_parquet(tmp_path / "c.parquet", thirds[2])))
    same(part_of([bucket_location], tmp_path, how=PATTERN), expected, names=False)
    apart = [f"{bucket_location}/alone/", f"{bucket_location}/files/b.tar"]
    assert part_of(apart, tmp_path / "2").images == len(thirds[0]) + len(thirds[1])
    with pytest.raises(UnreadableSourceError, match="there is no object"):
        fragments([f"{bucket_location}/nothing"])


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


def read(source: str, how: How | None = None) -> tuple[list[str], dict[str, str]]:
    """Return the names of the images of a source that can be read, and why others cannot."""
    whole, refused = [], {}
    for fragment in fragments([source], how):
        for item in items(fragment, how):
            try:
                item.read()
                whole.append(item.name)
            except SampleError as error:
                refused[item.name] = str(error)
    return whole, refused


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


WHERE: dict[str, Callable[[Path], str]] = {
    "files": lambda top: as_folder(top / "top", PICTURES),
    "tar": lambda top: as_tar(top / "a.tar", PICTURES),
    "parquet": lambda top: as_parquet(top / "a.parquet", PICTURES),
}


@pytest.mark.parametrize("kind", WHERE)
def test_an_image_has_so_many_bytes_wherever_it_lies(kind: str, tmp_path: Path) -> None:
    source = WHERE[kind](tmp_path)
    sizes = sorted(len(each) for each in PICTURES.values())
    whole, refused = read(source, How(image_bytes=sizes[20]))
    assert len(whole) == sum(size <= sizes[20] for size in sizes)
    assert 0 < len(refused) < 20
    assert all("max_image_bytes" in why for why in refused.values())


def test_an_object_has_so_many_bytes(bucket_location: str) -> None:
    import obstore

    from app.storage.buckets import store_of

    bucket, _, prefix = bucket_location.removeprefix("s3://").partition("/")
    obstore.put(store_of(bucket, prefix), "a.png", PICTURES["lot-b/000.png"])
    whole, refused = read(bucket_location, How(image_bytes=100))
    assert not whole
    assert "max_image_bytes" in refused[f"{bucket_location}/a.png"]


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


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_no_memory_is_no_damage(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fragment, *_) = fragments([WHERE[kind](tmp_path)])
    at = {"tar": "app.intake.untar.Forward.content", "parquet": "app.bulk.tables._item"}

    def none(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(at[kind], none)
    with pytest.raises(MemoryError):
        list(items(fragment))


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


def test_sources_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    top = as_folder(tmp_path / "top", PICTURES)
    with pytest.raises(UnreadableSourceError, match=r"no image in .*empty; looked for .*\.parquet"):
        fragments([top, str(tmp_path / "empty")])
    with pytest.raises(UnreadableSourceError, match="there is no file or folder"):
        fragments([str(tmp_path / "nowhere")])
    with pytest.raises(UnreadableSourceError, match="lot-b is given twice, or lies in"):
        fragments([f"{top}/lot-b", top])
    with pytest.raises(UnreadableSourceError, match="given twice"):
        fragments(["s3://bucket/a", "s3://bucket/a/"])
    with pytest.raises(InvalidSpecError, match="needs a group in parentheses"):
        next(items(fragments([top])[0], How(group_pattern="lot")))


def test_a_listing_is_the_same_in_any_order_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: names decide; links to folders are passed over."""
    top = as_folder(tmp_path / "top", pictures(150))
    Path(top, "loop").symlink_to(top)
    first = fragments([top])
    assert [len(each.names) for each in first] == [64, 64, 22]
    asked = os.scandir

    class Reversed:
        def __init__(self, path: str) -> None:
            with asked(path) as found:
                self._entries = iter(list(found)[::-1])

        def __enter__(self) -> "Reversed":
            return self

        def __exit__(self, *_: object) -> None: ...

        def __iter__(self) -> "Reversed":
            return self

        def __next__(self) -> os.DirEntry[str]:
            return next(self._entries)

    monkeypatch.setattr("os.scandir", Reversed)
    assert fragments([top]) == first


def test_an_empty_tar_is_no_image(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    assert read(str(tmp_path / "a.tar")) == ([], {})
    (tmp_path / "b.tar").write_bytes(io.BytesIO().getvalue())
    whole, refused = read(str(tmp_path / "b.tar"))
    assert (whole, len(refused)) == ([], 1)
