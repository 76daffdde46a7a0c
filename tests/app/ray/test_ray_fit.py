"""Law: a fit on Ray is the fit of one process, whatever dies meanwhile. On a real cluster."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skimage.data
from http_helpers import encode
from ray_fit_cluster import (
    HOLD,
    WAIT_S,
    Cluster,
    counts,
    fit_environment,
    ray_fit_cluster,
    until_gone,
)
from ray_fit_driver import SETTINGS, detector_of

from app.bulk import looking
from app.bulk.listing import fragments
from app.bulk.part import Part
from app.bulk.part_file import read_part
from app.bulk.reading import items
from app.scoring.ingest import Ingest
from app.settings import Settings
from app.telemetry import Telemetry
from detector.embedder import Embedder

pytestmark = pytest.mark.slow
IMAGES, DAMAGED, SIDE_PX = 120, 2, 96


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of crops of gravel, some of them copies, some damaged."""
    folder = tmp_path_factory.mktemp("pictures") / "normal"
    folder.mkdir()
    gravel = np.repeat(skimage.data.gravel()[:, :, None], 3, axis=2)
    corners = np.random.default_rng(3).integers(0, len(gravel) - SIDE_PX, size=(IMAGES, 2))
    corners[-5:] = corners[:5]
    for number, (y, x) in enumerate(corners):
        content = encode(np.array(gravel[y : y + SIDE_PX, x : x + SIDE_PX]))
        if number % 70 == 30:
            content = content[: len(content) // 2]
        (folder / f"{number:03d}.png").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def sources(pictures: Path) -> dict[str, Path]:
    """The same images as a folder, a tar file and a table."""
    tar, table = pictures.parent / "normal.tar", pictures.parent / "normal.parquet"
    files = sorted(pictures.iterdir())
    with tarfile.open(tar, "w") as archive:
        for file in files:
            archive.add(file, file.name)
    image = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    pq.write_table(pa.table({"image": image}), table, row_group_size=60)
    return {"folder": pictures, "tar": tar, "parquet": table}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real cluster, of three actors on however few cores."""
    with ray_fit_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def alone(sources: dict[str, Path]) -> dict[str, Part]:
    """What one process makes of each source, by the service's own way."""
    embedder = Embedder.load("se-lite0", "cpu", engine="torch")

    async def every() -> dict[str, Part]:
        ingest = Ingest(Settings(**SETTINGS), embedder, Telemetry())
        ingest.start()
        try:
            return {kind: await part(ingest, source) for kind, source in sources.items()}
        finally:
            await ingest.stop()

    async def part(ingest: Ingest, source: Path) -> Part:
        found = (item for each in fragments([str(source)]) for item in items(each))
        return await looking.part_of(ingest, detector_of(embedder), HOLD, found)

    return asyncio.run(every())


def _same(kept: Path, other: Part) -> None:
    part, about = read_part(kept.read_bytes())
    assert about["whole"]
    assert list(part.fitted) == list(other.fitted)
    assert list(part.rejected) == list(other.rejected)
    assert part.images == other.images >= IMAGES
    assert len(part.rejected) >= DAMAGED
    assert list(part.held.keys) == list(other.held.keys)
    assert list(part.held.images) == list(other.held.images)
    assert part.held.seen == other.held.seen > len(part.held) == HOLD.most
    assert part.held.rows is not None
    assert other.held.rows is not None
    for name, rows in part.held.rows.blocks.items():
        np.testing.assert_array_equal(rows, other.held.rows.blocks[name])
    assert part.statistics.keys() == other.statistics.keys()
    compared = 0
    for name, statistic in part.statistics.items():
        for field in ("mean", "scatter"):
            if hasattr(statistic, field):
                ours, theirs = (getattr(one, field) for one in (statistic, other.statistics[name]))
                limit = 1e-10 * np.abs(theirs).max()
                np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=limit)
                compared += 1
    assert compared > 10


def test_whatever_dies_it_is_the_fit_of_one_process(
    cluster: Cluster, sources: dict[str, Path], alone: dict[str, Part], tmp_path: Path
) -> None:
    """Law: a worker and the driver are killed, the next is told to end, and the last is let be."""
    kept, asked = tmp_path / "bolts.part", {"chunk": 4, "chunks": 1}
    every = list(sources.values())
    with cluster.driver(kept, every, **asked, kept_every_s=0.0) as driver:
        driver.first()
        victim, *_ = cluster.embedding()
        os.kill(victim, signal.SIGKILL)
        until_gone(victim)
        counted = _counted_in(kept) + 1
        while _counted_in(kept) <= counted:  # the others go on
            driver.counted()
        os.kill(driver.process.pid, signal.SIGKILL)
        driver.ended(-signal.SIGKILL)
    counted = _counted_in(kept)
    assert not kept.exists()
    with cluster.driver(kept, every, **asked, kept_every_s=600.0) as driver:
        before = driver.counted()
        assert before == counted
        counted += driver.counted()
        driver.process.send_signal(signal.SIGTERM)
        said = driver.ended(3)
    counted += sum(counts(said))
    assert f"UnfinishedError: stopped after {counted} images" in said
    assert _counted_in(kept) == counted < len(sources) * IMAGES
    with cluster.driver(kept, every) as driver:
        assert driver.counted() == counted
        again = counts(driver.ended())
        assert counted + sum(again) == len(sources) * IMAGES
    _same(kept, Part.merged(list(alone.values())))
    assert [file.name for file in tmp_path.iterdir()] == [kept.name]


def test_what_stops_an_actor_is_told_in_its_words(
    cluster: Cluster, sources: dict[str, Path], tmp_path: Path
) -> None:
    with cluster.driver(tmp_path / "a.part", [sources["tar"]], fingerprint="5" * 64) as driver:
        assert "FingerprintMismatchError: a machine of the cluster has" in driver.ended(3)


def test_the_command_fits_on_a_cluster_of_its_own_and_the_detector_scores(
    pictures: Path, tmp_path: Path
) -> None:
    def command(*words: str) -> str:
        command = [sys.executable, "-m", "app.cli", *words]
        done = subprocess.run(
            command,
            env=fit_environment() | {"GATEWATCH_DATA_DIR": str(tmp_path / "data")},
            cwd=pictures.parent,
            capture_output=True,
            text=True,
            timeout=2 * WAIT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    share = ["--hold-out", "0.3", "--target", "0.1", "--image-size", "64"]
    actors = ["--engine", "ray", "--workers", "2", "--decoders", "1"]
    said = command("fit", "bolts", pictures.name, *share, *actors)
    assert f"left out {pictures.name}/030.png" in said
    assert "held out: threshold" in said
    scores = json.loads(command("score", "bolts", f"{pictures.name}/000.png", "--json"))
    assert scores["results"][0]["score"] < 2 * scores["results"][0]["threshold"]


def _counted_in(kept: Path) -> int:
    """Return how many images are in the file of a run that is not finished."""
    part, about = read_part(kept.with_name(f"{kept.name}.ray").read_bytes())
    assert not about["whole"]
    return part.images
