"""Remove what a crash has left: files that nothing names, and jobs that ended long ago.

Files are always written before what names them, so a file that nothing names may be one that is
about to be named. Two rules keep those. What belongs together is as old as its newest file: the
rows or the network of a run, and all files of a detector that no row knows, which may just be
arriving. And only what is older than a grace time goes, which is far longer than any pause between
two files, or the last file and its row. The list of files is read before the names: what is named
meanwhile stays.
"""

import asyncio
import contextlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, delete, select

from app.clock import now
from app.storage import Storage
from app.storage.blobs import Blob
from app.storage.drift_tables import DRIFT_STATES
from app.storage.tables import CHUNKS, DETECTORS, JOBS, VERSION_IMAGES, VERSIONS

GRACE_S = 24 * 3600.0
"""Far longer than any run may pause between two files, or before it names them."""
UPLOAD_S = 24 * 3600.0
"""An upload that is being received may show no sign of life for as long as it takes."""
JOB_DAYS = 30
FOLDERS = ("detectors", "jobs", "history", "gates")
_ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Swept:
    """How many of each were removed."""

    blobs: int
    uploads: int
    jobs: int


@dataclass(frozen=True, slots=True)
class _Named:
    """What the database names."""

    detectors: set[str]
    blobs: set[str] = field(repr=False)
    runs: set[str]
    """Of jobs that have not ended: their rows are named when they do."""


async def sweep(
    storage: Storage,
    incoming: Path,
    older_than: float = GRACE_S,
    *,
    job_days: int = JOB_DAYS,
    moment: datetime | None = None,
) -> Swept:
    """Remove leftovers, off the event loop; any number of processes may do so at any time.

    Args:
        storage: of detectors, jobs and history.
        incoming: folder of uploads that are being received.
        older_than: seconds; what is younger may be named soon, and stays.
        job_days: after which jobs that have ended are forgotten.
        moment: that counts as now.

    Raises:
        StorageUnavailableError: if database or blobs cannot be reached.
    """
    call = partial(_sweep, storage, incoming, older_than, job_days, moment or now())
    return await asyncio.to_thread(call)


def _sweep(
    storage: Storage, incoming: Path, older_than: float, job_days: int, moment: datetime
) -> Swept:
    jobs = _sweep_jobs(storage, moment - timedelta(days=job_days))  # first: gates go with theirs
    blobs = _sweep_blobs(storage, moment - timedelta(seconds=older_than))
    uploads = _sweep_uploads(incoming, moment - timedelta(seconds=max(older_than, UPLOAD_S)))
    return Swept(blobs, uploads, jobs)


def _sweep_jobs(storage: Storage, before: datetime) -> int:
    ended = delete(JOBS).where(JOBS.c.state.in_(_ENDED), JOBS.c.ended_at < before)
    with storage.database.write() as connection:
        return connection.execute(ended).rowcount


def _sweep_blobs(storage: Storage, before: datetime) -> int:
    listed = [blob for folder in FOLDERS for blob in storage.blobs.listing(folder)]
    with storage.database.read() as connection:
        named = _names(connection)
    gone = 0
    for unit, blobs in _units(listed, named.detectors).items():
        youngest = max(blob.put_at for blob in blobs)
        is_named = any(blob.name in named.blobs for blob in blobs)
        if youngest < before and not is_named and unit.rpartition("/")[2] not in named.runs:
            for blob in blobs:
                storage.blobs.delete(blob.name)
            gone += len(blobs)
    return gone


def _names(connection: Connection) -> _Named:
    """Return what is named.

    Detectors and jobs come first: what is named meanwhile, by a detector that has just arrived or
    by a job that has just ended, is found below.
    """
    detectors = set(connection.scalars(select(DETECTORS.c.id)))
    going = JOBS.c.state.not_in(_ENDED)
    jobs = connection.execute(select(JOBS.c.id, JOBS.c.spool_blob).where(going)).all()
    named = {job.spool_blob for job in jobs}
    for column in (VERSIONS.c.fit_blob, VERSIONS.c.decision_blob, CHUNKS.c.blob):
        named |= set(connection.scalars(select(column)))
    named |= set(connection.scalars(select(VERSION_IMAGES.c.rows_blob).distinct()))
    named |= set(connection.scalars(select(DRIFT_STATES.c.reference_blob))) - {None}
    adapted = connection.scalars(select(JOBS.c.id).where(JOBS.c.kind == "adapt"))
    named |= {f"gates/{job}.safetensors" for job in adapted}
    return _Named(detectors, named, {job.id for job in jobs})


def _units(listed: Iterable[Blob], detectors: set[str]) -> dict[str, list[Blob]]:
    """Return blobs by what they belong to: an unknown detector, a run, or each to itself."""
    units: dict[str, list[Blob]] = defaultdict(list)
    for blob in listed:
        top, _, rest = blob.name.partition("/")
        parts = rest.split("/")
        unit = blob.name
        if top == "detectors" and parts[0] not in detectors:
            unit = f"{top}/{parts[0]}"
        elif top == "detectors" and parts[1:2] in (["rows"], ["networks"]):
            unit = blob.name.rpartition("/")[0]
        units[unit].append(blob)
    return units


def _sweep_uploads(incoming: Path, before: datetime) -> int:
    gone = 0
    with contextlib.suppress(FileNotFoundError):  # nothing was ever received
        for path in incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just been received
                if _touched(path) < before:
                    _remove(path)
                    gone += 1
    return gone


def _touched(path: Path) -> datetime:
    """Return when a file, or anything in a folder, was last written."""
    times = [path.lstat().st_mtime]
    for folder, _, files in os.walk(path):
        times += [Path(folder, name).lstat().st_mtime for name in files]
    return datetime.fromtimestamp(max(times), UTC)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
