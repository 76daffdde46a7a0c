"""What a sweep removes: all that nothing names, after a grace time, and jobs of long ago."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from storage_helpers import BY, at_once, following, image, three

from app.clock import now
from app.errors import UnknownJobError
from app.storage import Storage
from app.storage.blobs import Blob
from app.storage.drift_states import DriftStates
from app.storage.jobs import Job
from app.storage.lineage import Delta
from app.storage.sweep import GRACE_S, UPLOAD_S, Swept, sweep
from app.storage.tables import CHUNKS, JOBS

NOTHING = Swept(0, 0, 0)
STRANGER, RUN = "5" * 32, "7" * 32
ODD = "bolts.safetensors"


@dataclass(frozen=True)
class Kept:
    """A storage in a directory, and a folder of uploads."""

    storage: Storage
    directory: Path

    @property
    def incoming(self) -> Path:
        return self.directory / "incoming"

    def sweep(self, later_s: float = 2 * GRACE_S, **options: Any) -> Swept:
        """Sweep as if it were later."""
        moment = now() + timedelta(seconds=later_s)
        return asyncio.run(sweep(self.storage, self.incoming, moment=moment, **options))

    def put(self, *names: str, age_s: float = 0) -> None:
        """Keep a blob under each name, as if it had been put some time ago."""
        for name in names:
            self.storage.blobs.put(name, b"bytes")
            aged(self.directory / "blobs" / name, age_s)

    def has(self, name: str) -> bool:
        return name in self.storage.blobs.names()

    def job(self, detector_id: str = "", kind: Any = "adapt", **options: Any) -> Job:
        """Submit a job."""
        name = "bolts" if detector_id else ""
        return self.storage.jobs.submit(kind, detector_id, name, {}, BY, **options)[0]

    def running(self, detector_id: str = "", **options: Any) -> Job:
        """Submit a job, and claim it."""
        job = self.job(detector_id, **options)
        claimed = self.storage.jobs.claim("a", 30)
        assert claimed is not None
        assert claimed.id == job.id
        return claimed


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    storage = Storage.open(tmp_path)
    yield Kept(storage, tmp_path)
    storage.close()


def aged(path: Path, age_s: float) -> None:
    """Let a file have been written some time ago."""
    moment = now().timestamp() - age_s
    os.utime(path, (moment, moment), follow_symlinks=False)


def test_a_detector_stays_with_all_it_has(kept: Kept) -> None:
    """Contract: versions, rows of fitted images and of scored ones, however old."""
    storage = kept.storage
    first, _, third = three(storage)
    identity = first.entry.id
    rows = f"detectors/{identity}/rows/{RUN}/000000.safetensors"
    scored = f"history/{identity}/{RUN}"
    reference = f"detectors/{identity}/drift/{RUN}"
    kept.put(rows, scored, reference)
    DriftStates(storage.database).put(identity, b"state", 0, reference_blob=reference)
    fitted = Delta("fit", added=[replace(image(1), rows_blob=rows)])
    storage.versions.add(third, following(third.detector), "extend", BY, images=[fitted])
    about = {"id": RUN, "detector_id": identity, "blob": scored, "images": 1, "size_bytes": 5}
    with storage.database.write() as connection:
        connection.execute(insert(CHUNKS).values(**about, first_at=now(), last_at=now()))
    before = storage.blobs.names()

    assert kept.sweep(1e9) == NOTHING

    assert storage.blobs.names() == before
    assert {rows, scored, reference} < set(before)
    for version in (1, 2, 3, 4):
        storage.versions.get("bolts", version)


@pytest.mark.parametrize(
    "name",
    [
        f"jobs/{RUN}.zip",
        f"gates/{RUN}.safetensors",
        "history/{known}/" + RUN,
        f"history/{STRANGER}/{RUN}",
        "detectors/{known}/fit-" + ODD,
        "detectors/{known}/drift/" + RUN,
        "detectors/{known}/rows/" + RUN + "/000000.safetensors",
        f"detectors/{STRANGER}/fit-{ODD}",
        f"detectors/{STRANGER}/rows/{RUN}/000000.safetensors",
    ],
)
def test_what_nothing_names_goes_after_the_grace_time(kept: Kept, name: str) -> None:
    """Contract: not before: it may be named any moment. What is named beside it stays."""
    stored = three(kept.storage)[-1]
    before = kept.storage.blobs.names()
    name = name.format(known=stored.entry.id)
    kept.put(name)

    assert kept.sweep(GRACE_S - 60) == NOTHING
    assert kept.has(name)

    assert kept.sweep(GRACE_S + 60) == Swept(1, 0, 0)
    assert kept.storage.blobs.names() == before
    assert kept.sweep(GRACE_S + 60) == NOTHING


def test_the_grace_time_can_be_chosen(kept: Kept) -> None:
    """Contract: seconds since a blob was put."""
    kept.put("jobs/old.zip", age_s=20)
    kept.put("jobs/young.zip")

    assert kept.sweep(0, older_than=10) == Swept(1, 0, 0)
    assert kept.storage.blobs.names() == ["jobs/young.zip"]


@pytest.mark.parametrize(
    ("old", "young"),
    [
        (f"detectors/{STRANGER}/fit-{ODD}", f"detectors/{STRANGER}/decision-{ODD}"),
        (
            "detectors/{known}/rows/" + RUN + "/000000.safetensors",
            "detectors/{known}/rows/" + RUN + "/000001.safetensors",
        ),
    ],
    ids=["a detector that arrives", "the rows of a run"],
)
def test_what_belongs_together_is_as_old_as_its_youngest(kept: Kept, old: str, young: str) -> None:
    """Contract: an arrival may take longer than the grace time; its first file must not go."""
    identity = three(kept.storage)[0].entry.id
    names = [name.format(known=identity) for name in (old, young)]
    kept.put(names[0], age_s=10 * GRACE_S)
    kept.put(names[1])

    assert kept.sweep(0) == NOTHING
    assert all(kept.has(name) for name in names)

    assert kept.sweep(GRACE_S + 60) == Swept(2, 0, 0)
    assert not any(kept.has(name) for name in names)


def test_rows_of_a_run_stay_if_one_of_them_is_named(kept: Kept) -> None:
    """Contract: a version names the files it has images in; a run's others belong to them."""
    tip = three(kept.storage)[-1]
    folder = f"detectors/{tip.entry.id}/rows/{RUN}"
    names = [f"{folder}/{number:06d}.safetensors" for number in range(2)]
    kept.put(*names)
    fitted = Delta("fit", added=[replace(image(1), rows_blob=names[0])])
    kept.storage.versions.add(tip, following(tip.detector), "extend", BY, images=[fitted])

    assert kept.sweep() == NOTHING
    assert all(kept.has(name) for name in names)


def test_what_a_job_needs_stays_until_it_ends(kept: Kept) -> None:
    """Contract: the images of jobs that wait or run, and the rows that a run has made."""
    identity = three(kept.storage)[0].entry.id
    uploads = ["jobs/first.zip", "jobs/second.zip"]
    running = kept.running(identity, kind="fit", spool_blob=uploads[0])
    kept.job(identity, kind="fit", spool_blob=uploads[1])
    rows = f"detectors/{identity}/rows/{running.id}/000000.safetensors"
    kept.put(*uploads, rows)

    assert kept.sweep() == NOTHING
    assert all(kept.has(name) for name in (*uploads, rows))

    kept.storage.jobs.finish(running.id, "a", "failed", problem={})
    assert kept.sweep() == Swept(2, 0, 0)
    assert [kept.has(name) for name in (*uploads, rows)] == [False, True, False]


def test_what_is_named_while_it_sweeps_stays(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: files are listed before names are read, so what is listed and then named is seen."""
    name = "jobs/coming.zip"
    kept.put(name)
    listing = type(kept.storage.blobs).listing

    def then_named(self: Any, folder: str = "") -> list[Blob]:
        found = listing(self, folder)
        if folder == "jobs":
            assert [blob.name for blob in found] == [name]
            kept.job(spool_blob=name)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(type(kept.storage.blobs), "listing", then_named)
        assert kept.sweep() == NOTHING
    assert kept.has(name)


def test_processes_may_sweep_at_the_same_time(kept: Kept) -> None:
    """Contract: each blob goes, whoever is first, and nobody fails."""
    names = [f"jobs/{number}.zip" for number in range(50)]
    kept.put(*names)

    outcomes = at_once([kept.sweep] * 3)

    assert all(isinstance(outcome, Swept) for outcome in outcomes), outcomes
    assert kept.storage.blobs.names() == []


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_jobs_are_forgotten_days_after_their_end(kept: Kept, state: Any) -> None:
    """Contract: with the gates that they kept; jobs that wait or run are never forgotten."""
    ended = kept.running()
    kept.storage.jobs.finish(ended.id, "a", state, result={}, problem={})
    others = [kept.running(), kept.job()]
    gates = [f"gates/{job.id}.safetensors" for job in (ended, *others)]
    kept.put(*gates)
    with kept.storage.database.write() as connection:
        connection.execute(update(JOBS).values(created_at=now() - timedelta(days=30)))
    day = timedelta(days=1).total_seconds()

    assert kept.sweep(6.9 * day, job_days=7) == NOTHING
    assert kept.storage.jobs.get(ended.id).state == state

    assert kept.sweep(7.1 * day, job_days=7) == Swept(1, 0, 1)
    with pytest.raises(UnknownJobError):
        kept.storage.jobs.get(ended.id)
    assert kept.storage.blobs.names() == sorted(gates[1:])
    assert [kept.storage.jobs.get(job.id).id for job in others] == [job.id for job in others]
    assert [line.action for line in kept.storage.audit.lines()] == 3 * ["job.adapt"]


def test_uploads_that_nobody_sends_any_more_go(kept: Kept) -> None:
    """Contract: after a day without a sign of life, files and folders; a link, not its target."""
    assert kept.sweep() == NOTHING  # nothing was ever received
    target = kept.directory / "target"
    target.mkdir()
    for name in ("old", "arriving", "young"):
        (kept.incoming / name).mkdir(parents=True)
        (kept.incoming / name / "images.zip").write_bytes(b"bytes")
    (kept.incoming / "file").write_bytes(b"bytes")
    (kept.incoming / "link").symlink_to(target)
    for name in ("old", "old/images.zip", "arriving", "file", "link"):
        aged(kept.incoming / name, UPLOAD_S + 60)

    assert kept.sweep(0) == Swept(0, 3, 0)

    assert sorted(path.name for path in kept.incoming.iterdir()) == ["arriving", "young"]
    assert (kept.incoming / "arriving" / "images.zip").exists()
    assert target.is_dir()
    assert kept.sweep(UPLOAD_S - 60) == NOTHING
    assert kept.sweep(UPLOAD_S + 60, older_than=2 * UPLOAD_S) == NOTHING
    assert kept.sweep(UPLOAD_S + 60) == Swept(0, 2, 0)
