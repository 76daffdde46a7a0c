"""The same pictures as a folder, a tar and a Parquet file; what can be read of them; and parts."""

import asyncio
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from http_helpers import encode
from stub_backbone import StubBackbone, stub_embedder

from app.bulk.fragments import Fragment, Shard
from app.bulk.listing import fragments
from app.bulk.part import Allowed, Part
from app.bulk.plan import HoldOut
from app.bulk.reading import items
from app.bulk.shard_run import run
from app.bulk.sources import How
from app.bulk.work import Work
from app.scoring.ingest import Ingest
from app.settings import Settings
from app.telemetry import Telemetry
from detector.detector import Detector
from detector.errors import SampleError
from detector.spec import Spec

SIDE = 64
PLAN = HoldOut(share=0.3, most=12, seed=4)


def pictures(number: int, seed: int = 7) -> dict[str, bytes]:
    """Return so many pictures in two folders, by name, some of whose letters are no ASCII."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(60, 180, (SIDE, SIDE, 3))
    noisy = (scene + rng.normal(0, 15, (number, SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8)
    names = (f"{'lot-ä' if at % 3 else 'lot-b'}/{at:03d}.png" for at in range(number))
    return {name: encode(pixels) for name, pixels in zip(names, noisy, strict=True)}


PICTURES = pictures(40)
"""For tests that change none of them."""


def as_folder(top: Path, contents: Mapping[str, bytes]) -> str:
    """Write them below a folder."""
    for name, content in contents.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return str(top)


def as_tar(
    path: Path, contents: Mapping[str, bytes], *, mode: str = "w", json_too: bool = True
) -> str:
    """Write them as WebDataset does: with a JSON document beside each."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in contents.items():
            add(archive, name, content)
            if json_too:
                about = {"group": name.partition("/")[0]}
                add(archive, name.replace(".png", ".json"), json.dumps(about).encode())
    return str(path)


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar file."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def as_parquet(
    path: Path, contents: Mapping[str, bytes], *, rows: int = 10, struct: bool = True
) -> str:
    """Write them as Hugging Face's data sets do, with a column of groups."""
    values = [{"bytes": each, "path": name} for name, each in contents.items()]
    images = pa.array(values if struct else list(contents.values()))
    groups = pa.array([name.partition("/")[0] for name in contents])
    table = pa.table({"image": images, "group": groups, "label": list(range(len(contents)))})
    pq.write_table(table, path, row_group_size=rows)
    return str(path)


def detector(name: str = "bolts", **what: object) -> Detector:
    """Return one of the stub's backbone that has seen nothing."""
    stub = StubBackbone()
    return Detector(Spec(name, stub.name, stub.fingerprint, image_size=SIDE, **what))  # type: ignore[arg-type]


def part_of(
    sources: Sequence[str],
    folder: Path,
    *,
    shard: Shard | None = None,
    plan: HoldOut = PLAN,
    how: How | None = None,
    listed: Sequence[Fragment] | None = None,
    allowed: Allowed | None = None,
) -> Part:
    """Return the part of some sources, made in this process; its file is in the folder."""
    shard, how = shard or Shard(), how or How()
    found = fragments(sources, how) if listed is None else listed
    kept = folder / f"{shard.number}-of-{shard.of}.part"
    work = Work(found, shard, how, kept, allowed or Allowed())
    return asyncio.run(_run(work, plan))


async def _run(work: Work, plan: HoldOut) -> Part:
    ingest = Ingest(Settings(), stub_embedder(), Telemetry())
    ingest.start()
    try:
        return await run(ingest, detector(), plan, work)
    finally:
        await ingest.stop()


def same(one: Part, other: Part, *, names: bool = True) -> None:
    """Make sure that two parts are of the same images, and alike but for rounding."""

    def listed(part: Part) -> list[tuple[str, ...]]:
        return sorted((i.sha256, i.group, *([i.name] if names else [])) for i in part.fitted)

    assert listed(one) == listed(other)
    assert one.held.keys == other.held.keys
    assert one.held.seen == other.held.seen
    ours, theirs = one.held.images, other.held.images
    assert [(i.sha256, i.group) for i in ours] == [(i.sha256, i.group) for i in theirs]
    assert len(one.rejected) == len(other.rejected)
    if names:
        assert [i.name for i in ours] == [i.name for i in theirs]
        assert list(one.rejected) == list(other.rejected)
    assert one.held.rows is not None
    assert other.held.rows is not None
    for name, rows in one.held.rows.blocks.items():
        np.testing.assert_array_equal(rows, other.held.rows.blocks[name])
    alike(one.statistics, other.statistics)


def alike(one: Mapping[str, object], other: Mapping[str, object]) -> None:
    """Make sure that statistics agree to 1e-10 of their largest entry, samples wholly."""
    assert one.keys() == other.keys()
    for name, ours in one.items():
        theirs = other[name]
        assert getattr(ours, "n", None) == getattr(theirs, "n", None)
        for field in ("mean", "scatter"):
            if hasattr(ours, field):
                a, b = np.asarray(getattr(ours, field)), np.asarray(getattr(theirs, field))
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())
        if hasattr(ours, "keys"):
            np.testing.assert_array_equal(ours.keys, theirs.keys)  # type: ignore[attr-defined]


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
