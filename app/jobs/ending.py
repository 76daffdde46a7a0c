"""How jobs end: what is kept of them then, what is dropped, and the problem that says why."""

import logging
from collections.abc import Mapping
from typing import Any

from app import problems
from app.errors import StorageUnavailableError, UnknownDetectorError
from app.service import Service
from app.storage.audit import By
from app.storage.detector_files import network_blob
from app.storage.jobs import MOST_ATTEMPTS, Job, State
from detector.errors import DetectorError

log = logging.getLogger(__name__)

FAILED = {
    "type": "about:blank",
    "title": "Internal error",
    "status": 500,
    "detail": "The job failed unexpectedly; the server's log has the cause under its id.",
}


def end(
    service: Service,
    job: Job,
    owner: str,
    state: State,
    *,
    result: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
) -> None:
    """End a job that ``owner`` runs.

    Raises:
        LeaseLostError: if another process has taken the job.
        StorageUnavailableError
    """
    # In this order: what a crash in between leaves is swept up, what it loses is not needed.
    service.storage.jobs.finish(job.id, owner, state, result=result, problem=problem)
    _drop(service, job, state)


def cancel(service: Service, identity: str, by: By) -> Job:
    """Cancel a job: one that waits at once, one that runs as soon as its process sees it.

    Raises:
        UnknownJobError, JobEndedError
    """
    job = service.storage.jobs.cancel(identity, by)
    if job.ended:
        _drop(service, job, job.state)
    return job


def require_detector(service: Service, job: Job) -> None:
    """Refuse to work for a detector that is gone, though another may have its name now.

    Raises:
        UnknownDetectorError: if it is.
    """
    if not job.detector_id:
        return
    try:
        is_there = service.storage.versions.entry(job.detector).id == job.detector_id
    except UnknownDetectorError:
        is_there = False
    if not is_there:
        raise UnknownDetectorError(
            f"detector {job.detector!r} was deleted after this job was submitted: nothing done; "
            "submit the job again if it is meant for the detector that has the name now"
        )


def problem_of(service: Service, job: Job, error: Exception) -> dict[str, Any]:
    """Return what says why a job failed; what is unexpected is told to the log only.

    Raises:
        StorageUnavailableError
    """
    try:
        require_detector(service, job)
    except UnknownDetectorError as gone:
        error = gone  # and all else follows from it
    if isinstance(error, DetectorError):
        return problems.of(error).model_dump()
    log.error("job %s failed", job.id, exc_info=error)
    return FAILED


def died(made: int | None) -> dict[str, Any]:
    """Return what says that a job's processes died, and which version it has made before."""
    detail = (
        f"The process that ran this job died {MOST_ATTEMPTS} times while it did: the job is not "
        "tried again. The server's log may say why; too little memory is a frequent cause."
    )
    if made is not None:
        detail += f" Version {made} was made before, and is whole."
    return {
        "type": "urn:gatewatch:problem:job-died",
        "title": "Job died",
        "status": 500,
        "detail": detail,
    }


def _drop(service: Service, job: Job, state: State) -> None:
    """Count a job that has ended, and remove what nothing needs any more."""
    service.telemetry.jobs.labels(job.kind, state).inc()
    try:
        is_needed = service.settings.keep_fitted_rows and service.storage.jobs.made(job) is not None
        if job.detector_id and not is_needed:
            service.chunks.remove_run(job.detector_id, job.id)
        if job.detector_id:
            service.storage.blobs.delete(network_blob(job.detector_id, job.id))
        if job.spool_blob:
            service.storage.blobs.delete(job.spool_blob)
    except StorageUnavailableError as error:
        log.warning("what is left of job %s is removed later: %s", job.id, error)
