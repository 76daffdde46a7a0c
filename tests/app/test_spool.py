"""The spool: it is what was sent, told apart from any other, and damage is told."""

import contextlib
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upload_helpers import (
    FILES,
    FORM,
    LIMITS,
    TAR,
    ZIP,
    form,
    part,
    request,
    run,
    take,
    uploads,
    zipped,
)

from app.errors import (
    DamagedSpoolError,
)
from app.intake import spooling
from app.intake.grouping import Grouping
from app.intake.spool import SpoolFile, as_sources


def test_digest_tells_uploads_apart(tmp_path: Path) -> None:
    """Contract: another name, order, content, group, role or mask is another upload."""
    parts = [part(b"one", file="1"), part(b"two", file="2")]
    mask = part(b"m", field="mask", file="m")
    variants: list[tuple[bytes, dict[str, Any]]] = [
        (form(*parts), {}),
        (form(*reversed(parts)), {}),
        (form(part(b"one", file="1"), part(b"two", file="3")), {}),
        (form(part(b"one", file="1"), part(b"tw", file="2")), {}),
        (form(part(b"onet", file="1"), part(b"wo", file="2")), {}),
        (form(*parts), {"grouping": Grouping("a")}),
        (form(parts[0], part(b"two", file="2", field="anomalies")), {"anomalies": True}),
        (form(*parts, mask), {}),
        (form(*parts, part(b"m", field="mask", file=None)), {}),
    ]
    digests = [take(tmp_path, body, FORM, **options).digest for body, options in variants]
    assert len(set(digests)) == len(variants)
    assert take(tmp_path, form(mask, *parts), FORM).digest == digests[7]  # order of fields


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Contract: nor deleted by the failure."""
    (tmp_path / "spool").write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        run(spooling.spool(request(b"x", "image/png"), LIMITS, tmp_path / "spool"))
    assert (tmp_path / "spool").read_bytes() == b"another's"


def test_sources_read_a_spool(tmp_path: Path) -> None:
    """Contract: images of a job are sources like any other."""
    take(tmp_path, *uploads(FILES)["tar"])
    with SpoolFile(tmp_path / "spool") as images:
        assert len(images) == 5
        sources = as_sources(images)
        assert [(source.name, run(source.read())) for source in sources] == FILES
        assert images.read(-1) == FILES[-1][1]
        with pytest.raises(IndexError):
            images.read(5)


def test_missing_spool_is_told(tmp_path: Path) -> None:
    """Contract: by name, with what to do."""
    with pytest.raises(DamagedSpoolError, match=r"gone is damaged.*send the images again"):
        SpoolFile(tmp_path / "gone")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_spools_are_told(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law: of a spool cut or changed anywhere come the same images or an error, nothing else."""
    folder = tmp_path_factory.mktemp("spools")
    mask = part(b"mask", field="mask", file="m")
    take(folder, form(mask, *(part(content[:99], file=name) for name, content in FILES)), FORM)
    path = folder / "spool"

    def read() -> Any:
        with SpoolFile(path) as images:
            every = [(e, images.read(i)) for i, e in enumerate(images.entries)]
            return every, images.mask, images.digest

    whole, content = read(), bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(DamagedSpoolError):
        assert read() == whole


def test_spool_with_a_forged_member_is_told(tmp_path: Path) -> None:
    """Contract: a well-formed file whose bytes are not those of its manifest."""
    take(tmp_path, *uploads(FILES)["zip"])
    path = tmp_path / "spool"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = members["manifest.json"]
    for forged in (
        members | {"0": b"\x89PNG two"},
        members | {"manifest.json": manifest.replace(b"lot 1", b"lot 9")},
        {name: content for name, content in members.items() if name != "3"},
    ):
        path.write_bytes(zipped(forged.items()))
        with pytest.raises(DamagedSpoolError), SpoolFile(path) as images:
            images.read(0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count"), [("zip", 60), ("tar", 20), ("tar.gz", 20), ("multipart", 20), ("raw", 20)]
)
def test_memory_does_not_grow_with_the_body(kind: str, count: int, tmp_path: Path) -> None:
    """Law: 300 MB in 60 images need no more than some buffers, nor does a third of it."""
    image = np.random.default_rng(0).bytes(5 * 2**20)
    body, media = large_body(kind, count, image, tmp_path)
    limits = replace(LIMITS, images=60, total_bytes=2**30, image_bytes=2**30)
    pieces = read_pieces(body)
    tracemalloc.start()
    try:
        spooled = run(spooling.spool(request(pieces, media), limits, tmp_path / "spool"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spooled.bytes == count * len(image)
    assert peak < 30 * 2**20


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield a file as a network does."""
    with path.open("rb") as file:
        while piece := file.read(65_536):
            yield piece


def large_body(kind: str, count: int, image: bytes, folder: Path) -> tuple[Path, str]:
    """Write a body of many images to a file, not to memory; return it with its type."""
    path = folder / "body"
    with path.open("wb") as file:
        if kind == "zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for number in range(count):
                    archive.writestr(f"{number}.png", image)
            return path, ZIP
        if kind in {"tar", "tar.gz"}:
            single = folder / "image"
            single.write_bytes(image)
            mode: Any = "w" if kind == "tar" else "w:gz"
            options = {} if kind == "tar" else {"compresslevel": 1}
            with tarfile.open(fileobj=file, mode=mode, **options) as tar:
                for number in range(count):
                    tar.add(single, f"{number}.png")
            return path, TAR
        if kind == "multipart":
            for number in range(count):
                file.write(part(image, file=f"{number}.png"))
            file.write(form())
            return path, FORM
        for _ in range(count):
            file.write(image)
        return path, "image/png"
