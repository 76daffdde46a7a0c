"""An image has so many bytes wherever it lies; too little memory is no damage."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bulk_helpers import PICTURES, as_folder, as_parquet, as_tar, read

from app.bulk.listing import fragments
from app.bulk.reading import items
from app.bulk.sources import How

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


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_no_memory_is_no_damage(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fragment, *_) = fragments([WHERE[kind](tmp_path)])
    at = {"tar": "app.intake.untar.Forward.content", "parquet": "app.bulk.tables._item"}

    def none(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(at[kind], none)
    with pytest.raises(MemoryError):
        list(items(fragment))
