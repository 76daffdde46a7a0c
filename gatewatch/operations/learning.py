"""Jobs: fit, extend, forget, calibrate, recalibrate, adapt; and what is known of jobs.

Images, or samples of another kind, come from this machine (``images``: a folder, an archive, or
one by one) or lie in a folder of the server (``server_folder``). Each submission has an
Idempotency-Key of its own: it makes one job, however often it has to be sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gatewatch.answers import (
    AdaptedGates,
    Calibrated,
    Fitted,
    Forgotten,
    JobInfo,
    JobPage,
    JobSummary,
)
from gatewatch.bodies import Body, Mask, many
from gatewatch.calls import Call, Listing, Submission, answers, idempotent
from gatewatch.folders import OF_IMAGES, Looked
from gatewatch.images import Images, Path_, given
from gatewatch.lines import Line, as_query
from gatewatch.operations.looking import looking

Promote = Literal["auto", "always", "never"]
PAGE = 100


def fit(
    name: str,
    images: Images | None = None,
    *,
    server_folder: str | None = None,
    group: str = "",
    group_from: Literal["folder"] | None = None,
    groups: Mapping[str, str] | None = None,
    mask: Mask = None,
    base: int | None = None,
    promote: Promote = "auto",
    reason: str = "",
) -> Submission[Fitted]:
    """Fit to normal images, in place of what was fitted."""
    query = _grouped(group, group_from, server_folder) | _change(base, promote, reason)
    body = partial(_body, images, server_folder, mask, groups=groups)
    return _sent("fit", name, Fitted, {"mode": "replace"} | query, (images,), body)


def extend(
    name: str,
    images: Images | None = None,
    *,
    server_folder: str | None = None,
    group: str = "",
    group_from: Literal["folder"] | None = None,
    groups: Mapping[str, str] | None = None,
    mask: Mask = None,
    base: int | None = None,
    promote: Promote = "auto",
    reason: str = "",
) -> Submission[Fitted]:
    """Fit to normal images, in addition to what was fitted; calibrate again after it."""
    query = _grouped(group, group_from, server_folder) | _change(base, promote, reason)
    body = partial(_body, images, server_folder, mask, groups=groups)
    return _sent("fit", name, Fitted, {"mode": "extend"} | query, (images,), body)


def forget(
    name: str,
    *,
    sha256: Sequence[str] = (),
    groups: Sequence[str] = (),
    base: int | None = None,
    promote: Promote = "auto",
    reason: str = "",
) -> Submission[Forgotten]:
    """Take images out of what was fitted, exactly: by the digests of their files, or by group."""
    document = {"sha256": list(sha256), "groups": list(groups)}
    query = _change(base, promote, reason)
    return _submitted("forget", name, Forgotten, query, document=document)


def calibrate(
    name: str,
    images: Images | None = None,
    *,
    anomalies: Images = (),
    server_folder: str | None = None,
    threshold: Line | None = None,
    group: str = "",
    group_from: Literal["folder"] | None = None,
    groups: Mapping[str, str] | None = None,
    mask: Mask = None,
    base: int | None = None,
    promote: Promote = "auto",
    reason: str = "",
) -> Submission[Calibrated]:
    """Score normal images that were not fitted, and draw the line; known anomalies if any.

    A threshold is a ``NewThreshold``, or the highest false-alarm rate of a conformal one.
    """
    query = _grouped(group, group_from, server_folder) | _change(base, promote, reason)
    query |= as_query(threshold)
    body = partial(_body, images, server_folder, mask, groups=groups, anomalies=anomalies)
    return _sent("calibrate", name, Calibrated, query, (images, anomalies), body)


def recalibrate(
    name: str,
    *,
    threshold: Line | None = None,
    base: int | None = None,
    promote: Promote = "auto",
    reason: str = "",
) -> Submission[Calibrated]:
    """Score the last calibration's images again after a change of the fit, and draw the line."""
    query = _change(base, promote, reason) | as_query(threshold)
    return _submitted("recalibrate", name, Calibrated, query)


def adapt(
    images: Images | None = None,
    *,
    server_folder: str | None = None,
    size: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    reason: str = "",
) -> Submission[AdaptedGates]:
    """Adapt the backbone's gates to 50 normal images or more; nothing in service changes."""
    query = {
        "folder": server_folder,
        "size": size,
        "limit": limit,
        "seed": seed,
        "reason": reason,
    }
    call = Call(
        "POST /v1/adapt",
        answers(JobInfo),
        query=query,
        headers=idempotent(),
        body=_body(images, server_folder, None),
    )
    return Submission(call, AdaptedGates)


def jobs(*, detector: str | None = None, limit: int | None = None) -> Listing[JobSummary]:
    """Go through all jobs, newest first; without their results."""

    def page(cursor: str | None) -> Call[JobPage]:
        query = {"detector": detector, "limit": PAGE, "cursor": cursor}
        return Call("GET /v1/jobs", answers(JobPage), query=query)

    return Listing(page, lambda page: (page.jobs, page.next), limit)


def job_info(job: str) -> Call[JobInfo]:
    """Return how far a job is, and what came of it."""
    return Call("GET /v1/jobs/{job}", answers(JobInfo), parts={"job": job})


def cancel(job: str, *, reason: str = "") -> Call[JobInfo]:
    """Cancel a job: no version is made. What it is like then may still be running."""
    return Call(
        "DELETE /v1/jobs/{job}", answers(JobInfo), parts={"job": job}, query={"reason": reason}
    )


def gates(job: str, to: Path_) -> Call[Path]:
    """Write the gates that an adaptation has kept to a file."""
    path = Path(to)
    return Call("GET /v1/jobs/{job}/gates", lambda _: path, parts={"job": job}, to=path)


def watch(job: str, last: str | None) -> Call[JobInfo]:
    """Ask for a job's events after one of them; they are read as they come."""
    headers = {} if last is None else {"last-event-id": last}
    parts = {"job": job}
    return Call("GET /v1/jobs/{job}/events", answers(JobInfo), parts=parts, headers=headers)


def _submitted(
    verb: str,
    name: str,
    result: type[Any],
    query: Mapping[str, Any],
    *,
    document: Any = None,
) -> Submission[Any]:
    return Submission(_call(verb, name, query, document), result)


def _sent(
    verb: str,
    name: str,
    result: type[Any],
    query: Mapping[str, Any],
    samples: Sequence[Images | None],
    body: Callable[[Looked], Body | None],
) -> Submission[Any]:
    """Return what begins a job with samples, of which there may be folders."""
    call = _call(verb, name, query)
    return Submission(looking([name], samples, lambda look: replace(call, body=body(look))), result)


def _call(verb: str, name: str, query: Mapping[str, Any], document: Any = None) -> Call[JobInfo]:
    return Call(
        ROUTES[verb],
        answers(JobInfo),
        parts={"name": name},
        query=query,
        headers=idempotent(),
        document=document,
    )


ROUTES = {
    "fit": "POST /v1/detectors/{name}/fit",
    "forget": "POST /v1/detectors/{name}/forget",
    "calibrate": "POST /v1/detectors/{name}/calibrate",
    "recalibrate": "POST /v1/detectors/{name}/recalibrate",
}


def _change(base: int | None, promote: Promote, reason: str) -> dict[str, Any]:
    return {"base": base, "promote": promote, "reason": reason}


def _grouped(group: str, group_from: str | None, folder: str | None) -> dict[str, Any]:
    return {"group": group, "group_from": group_from, "folder": folder}


def _body(
    images: Images | None,
    server_folder: str | None,
    mask: Mask,
    look: Looked = OF_IMAGES,
    *,
    groups: Mapping[str, str] | None = None,
    anomalies: Images = (),
) -> Body | None:
    """Return what is to be sent. Raises ValueError unless the images come from one place."""
    if (images is None) == (server_folder is None):
        raise ValueError("give images of this machine, or server_folder: one of the two")
    if images is not None:
        return many(images, mask, anomalies=anomalies, groups=groups, look=look)
    if mask is not None or groups is not None or given(anomalies):
        raise ValueError("with server_folder no mask, groups or anomalies can come along")
    return None
