"""Law: the same images make the same part, whatever they lie in. Contract: no source is guessed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bulk_helpers import PICTURES, as_folder, as_parquet, as_tar, part_of, pictures, same

from app.bulk.errors import UnreadableSourceError
from app.bulk.listing import fragments
from app.bulk.part import Part
from app.bulk.reading import items
from app.bulk.sources import How
from detector.errors import InvalidSpecError

PATTERN = How(group_pattern="(lot-[^/]+)/")
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
