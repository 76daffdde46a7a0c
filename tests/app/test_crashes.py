"""Law: whatever was acknowledged is there after kill -9 at any moment; nothing half-made is seen.

A real service (its HTTP application, job runner and storage, with a stub for the network) fits,
extends, draws lines and promotes, and is killed at random moments; the next one takes up its jobs.
"""

import asyncio
import multiprocessing
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crash_life import NAME, PROBES, client_of, live, settled
from stub_backbone import stub_embedder

from app.storage import Storage
from app.storage.row_chunks import RowChunks
from detector.embedding import Embedding
from detector.imaging import decode

KILLS = 100
LONGEST_S = 1.2


@dataclass
class Told:
    """What was acknowledged so far, and what may have been under way."""

    scores: dict[int, list[float]] = field(default_factory=dict)
    in_service: int = 1
    began: bool = False
    jobs: list[str] = field(default_factory=list)

    def hear(self, word: str, value: int, numbers: list[float]) -> None:
        if word == "version":
            self.scores[value] = numbers
        elif word == "in service":
            self.in_service, self.began = value, False
        elif word == "begin":
            self.began = True
        elif word == "job":
            self.jobs.append(str(value))


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    return str(request.getfixturevalue("postgres_url"))


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_hundred_kills_lose_nothing(
    tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server of forks looks for what it preloads there; else every life would import it anew.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crash_life"])
    rng = random.Random(0)
    told = Told()
    for life in range(KILLS):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=live, args=(tmp_path, database, life, theirs))
        process.start()
        theirs.close()
        wanted_s = rng.uniform(0, LONGEST_S)
        end_s: float | None = None
        while end_s is None or time.monotonic() < end_s:
            if ours.poll(0.01 if end_s is None else max(min(0.01, end_s - time.monotonic()), 0)):
                try:
                    message = ours.recv()
                except EOFError:
                    break
                if message[0] == "up":  # its end is counted from here: before, it changes nothing
                    end_s = time.monotonic() + wanted_s
                told.hear(*message)
        process.kill()
        process.join()
        while ours.poll():
            try:
                told.hear(*ours.recv())
            except EOFError:
                break
        assert process.exitcode == -9, "it ended by itself: an assertion failed in it"
        ours.close()
        _check(tmp_path, database, told)
    # How many it is in the time they have is up to the machine.
    assert len(told.scores) > KILLS / 10, "too few changes were acknowledged to show anything"
    asyncio.run(_check_jobs(tmp_path, database, told))


def _check(directory: Path, database: str | None, told: Told) -> None:
    """What was acknowledged is there and scores identically; what is there is whole."""
    storage = Storage.open(directory, database=database)
    try:
        entries = storage.versions.all()
        if not entries:
            assert not told.scores
            return
        (entry,) = entries
        if not told.began:
            assert entry.in_service == told.in_service or entry.in_service not in told.scores
        versions = [version.version for version in storage.versions.versions(NAME)]
        assert versions == list(range(1, len(versions) + 1))
        assert set(told.scores) <= set(versions)
        for version in versions[-3:] + random.Random(len(versions)).sample(versions, 1):
            stored = storage.versions.get(NAME, version)
            if version in told.scores:
                found = stored.detector.scores(_probes(stored.detector.spec.image_size))
                # The digests say that the bits are the same. The batch may have been cut elsewhere
                # there, and a product of one row rounds otherwise than one of two.
                np.testing.assert_allclose(found, told.scores[version], rtol=1e-12, atol=0)
            images = storage.versions.images(stored.entry)
            assert len(images) == stored.detector.fitted_images
            if images:
                chunk = RowChunks(storage.blobs).read(images[-1].rows_blob)
                assert chunk.take([images[-1].row]) is not None
    finally:
        storage.close()


def _probes(side_px: int) -> Embedding:
    embedder = stub_embedder()
    prepared = [
        embedder.prepare(decode(probe, max_pixels=10**6, min_side=16), side_px) for probe in PROBES
    ]
    return embedder.embed(prepared)


def _made_by(job: dict[str, Any]) -> list[int]:
    """Return the version that a job says it has made, though it may have died before its end."""
    if job["state"] == "succeeded":
        return [job["result"]["detector"]["version"]]
    return [int(made) for made in re.findall(r"Version (\d+) was made", job["problem"]["detail"])]


async def _check_jobs(directory: Path, database: str | None, told: Told) -> None:
    """Every acknowledged job has ended, and made its version once if it succeeded."""
    async with client_of(directory, database) as client:
        ended = [job["id"] for job in await settled(client)]
        jobs = {each: (await client.get(f"/v1/jobs/{each}")).json() for each in ended}
        assert set(told.jobs) <= set(jobs)
        listed = (await client.get(f"/v1/detectors/{NAME}/versions")).json()["versions"]
        fits = [each["version"] for each in listed if each["change"] in ("replace", "extend")]
        assert sorted(fits) == sorted(made for job in jobs.values() for made in _made_by(job))
        for job in jobs.values():
            assert job["state"] == "succeeded" or job["problem"]["detail"]
