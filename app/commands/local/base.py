"""What the parts of ``Local`` share: a service, the loop it runs in, and jobs that run here."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from app.catalogue import kind_of_entry
from app.learning.collecting import Progress
from app.schemas.base import Body
from app.service import Service
from detector.kinds import Kind
from gatewatch.images import sendable
from gatewatch.reading import read

T = TypeVar("T")
R = TypeVar("R")
File = tuple[str, Path]
"""An image by its name and path; the client takes it so, too."""
Files = Sequence[File]


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


def name_of(path: Path) -> str:
    """Return the name by which a file is known, here and at a server; it can be printed."""
    return sendable(str(path))


def answer(kind: type[T], body: Body) -> T:
    """Return a body of the API as the client reads it."""
    return read(kind, body.model_dump(mode="json"))
