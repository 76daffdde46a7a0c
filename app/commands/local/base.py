"""What the parts of ``Local`` share: a service, its loop, jobs that run here, who changes it."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.catalogue import kind_of_entry
from app.learning.collecting import Progress
from app.service import Service
from app.storage.audit import By
from detector.kinds import Kind

R = TypeVar("R")


@dataclass(frozen=True)
class LocalJob(Generic[R]):
    """Long work that is done when it is run.

    It tells how many of its images were just done, and how much more there is to do than those.
    """

    run: Callable[[Progress, Progress], R]
    images: int = 0


class Base:
    """A service that was started in the loop of a runner."""

    def __init__(self, service: Service, runner: asyncio.Runner) -> None:
        self._service = service
        self._runner = runner

    def _kind(self, name: str) -> Kind:
        """Return what a detector's samples are. Raises UnknownDetectorError."""
        return kind_of_entry(self._service.storage.versions.entry(name))

    def _wait(self, work: Awaitable[R]) -> R:
        async def waited() -> R:
            return await work

        return self._runner.run(waited())


def by(reason: str = "") -> By:
    """Return who changes something from the command line."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return By(f"{user} (command line)", reason)
