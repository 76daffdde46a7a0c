"""Jobs as commands wait for them, with a bar; and ``gatewatch cancel``, for those of a server."""

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from tqdm import tqdm

from app.commands.common import Reason
from app.commands.target import KeyFile, Url, connected, failures
from gatewatch import GatewatchError, Job, UnknownJobError

if TYPE_CHECKING:
    from app.commands.local.base import LocalJob

R = TypeVar("R")
JOB = "[0-9a-f]{32}"
INTERRUPTED = 130
"""What a shell makes of a program that Ctrl-C has ended."""


def followed(job: "LocalJob[R] | Job[R]", what: str, noun: str = "image") -> R:
    """Return what came of a job; one of a server goes on when it is not waited for any more.

    Where a network learns first, its steps are counted with the samples.

    Raises:
        GatewatchError: if it failed, or the server is lost meanwhile; then its id was said.
    """
    if not isinstance(job, Job):
        with tqdm(total=job.images or None, unit=noun, desc=what) as bar:

            def expect(more: int) -> None:
                bar.total = (bar.total or 0) + more
                bar.refresh()

            return job.run(bar.update, expect)
    try:
        with tqdm(total=job.info.images or None, unit=noun, desc=what) as bar:
            for info in job.events():
                bar.total = info.images or None
                bar.update(info.images_done - bar.n)
    except KeyboardInterrupt:
        _left(job)
        raise typer.Exit(INTERRUPTED) from None
    except UnknownJobError:
        raise
    except GatewatchError:
        _left(job)
        raise
    return job.result


def _left(job: Job[Any]) -> None:
    typer.echo(
        f"job {job.id} goes on at the server; to stop it: gatewatch cancel {job.id}", err=True
    )


def cancel(
    job: Annotated[str, typer.Argument(help="Its id.")],
    url: Url = None,
    key_file: KeyFile = None,
    reason: Reason = "",
) -> None:
    """Cancel a job of a server: no version is made."""
    if not url:
        raise typer.BadParameter("jobs are a server's: give its address with --url")
    if not re.fullmatch(JOB, job):
        raise typer.BadParameter(
            "give the id of a job, 32 of 0-9 and a-f, as the command told it that began the job"
        )
    with failures(), connected(url, key_file) as client:
        info = client.cancel(job, reason=reason)
    said = "is being cancelled" if info.state == "running" else f"is {info.state}"
    typer.echo(f"job {info.id}, {info.kind} of {info.detector or 'gates'}, {said}")
