"""From a request to a job: its samples are kept first, then the job that goes through them."""

import asyncio
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.catalogue import kind_of_entry
from app.errors import IdempotencyConflictError
from app.intake.folders import from_allowed_folder
from app.intake.grouping import Grouping
from app.intake.limits import Limits
from app.intake.spool import Spooled
from app.intake.spooling import spool
from app.jobs.runner import JobRunner
from app.learning.adapting import require_adaptable
from app.service import Service
from app.storage.audit import By
from app.storage.jobs import Job, Kind
from detector.errors import NotFittedError
from detector.kinds import Kind as SampleKind
from detector.kinds import image


@dataclass(frozen=True, slots=True)
class Coming:
    """Where a job's images come from.

    Attributes:
        folder: of the server; None for the request's body.
        grouping: which group each belongs to.
        anomalies: whether the body may bring known anomalies.
    """

    folder: Path | None = None
    grouping: Grouping = Grouping()  # noqa: RUF009  # it is immutable
    anomalies: bool = False


class Submission:
    """Takes the jobs of one request."""

    def __init__(
        self,
        service: Service,
        runner: JobRunner,
        request: Request,
        response: Response,
        by: By,
        key: str | None,
    ) -> None:
        self._service = service
        self._runner = runner
        self._request = request
        self._response = response
        self._by = by
        self._key = key

    async def submit(
        self, kind: Kind, name: str, parameters: Mapping[str, Any], coming: Coming | None = None
    ) -> Job:
        """Keep the images, if some are to come, and submit the job.

        Args:
            kind: of the job.
            name: of the detector; empty for a job without one.
            parameters: as asked.
            coming: where the images come from, if there are any.

        Raises:
            UnknownDetectorError, UnknownVersionError, IdempotencyConflictError
            CannotAdaptError: if gates are to be adapted that cannot be.
            NotFittedError: if what was never fitted is to be changed.
            as ``app.intake.spooling.spool`` and ``app.intake.folders.from_allowed_folder``.
        """
        samples = await self._check(kind, name, parameters.get("base"))
        if coming is None:
            return await self._kept(kind, name, parameters, None)
        settings = self._service.settings
        incoming = settings.data_dir / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=incoming) as folder:
            path = Path(folder) / "images.zip"
            spooled = await self._spooled(path, coming, Limits.of(settings), samples)
            return await self._kept(kind, name, parameters, spooled)

    async def _spooled(
        self, path: Path, coming: Coming, limits: Limits, samples: SampleKind
    ) -> Spooled:
        if coming.folder is None:
            return await spool(
                self._request,
                limits,
                path,
                kind=samples,
                grouping=coming.grouping,
                anomalies=coming.anomalies,
            )
        roots = self._service.settings.import_roots
        listed = (coming.folder, roots, limits, path, coming.grouping, samples)
        return await asyncio.to_thread(from_allowed_folder, *listed)

    async def _check(self, kind: Kind, name: str, base: int | None) -> SampleKind:
        """Refuse before the body is read what could not be done with it; say what it brings."""
        if kind == "adapt":
            require_adaptable(self._service.settings)
            return image.KIND
        read = self._service.storage.versions.entry
        entry = await asyncio.to_thread(read, name)
        built_on = await asyncio.to_thread(read, name, base or entry.tip)
        if kind not in ("fit", "extend") and not built_on.version.summary["fitted_images"]:
            raise NotFittedError(f"detector {name!r} is not fitted: fit it first")
        return kind_of_entry(entry)

    async def _kept(
        self, kind: Kind, name: str, parameters: Mapping[str, Any], spooled: Spooled | None
    ) -> Job:
        job = await asyncio.to_thread(self._keep, kind, name, parameters, spooled)
        self._runner.wake()
        self._response.headers["Location"] = f"/v1/jobs/{job.id}"
        return job

    def _keep(
        self, kind: Kind, name: str, parameters: Mapping[str, Any], spooled: Spooled | None
    ) -> Job:
        storage, identity, blob = self._service.storage, uuid.uuid4().hex, ""
        detector_id = storage.versions.entry(name).id if name else ""
        if spooled is not None:
            blob = f"jobs/{identity}.zip"
            storage.blobs.put_file(blob, spooled.path)
        try:
            job, is_new = storage.jobs.submit(
                kind,
                detector_id,
                name,
                parameters,
                self._by,
                identity=identity,
                base=parameters.get("base"),
                spool_blob=blob,
                total=spooled.images if spooled else 0,
                body_sha256=spooled.digest if spooled else "",
                idempotency_key=self._key,
            )
        except IdempotencyConflictError:
            if blob:  # after any other failure there may be a job that needs it
                storage.blobs.delete(blob)
            raise
        if blob and not is_new:
            storage.blobs.delete(blob)
        return job
