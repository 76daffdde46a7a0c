"""Many images scored in as many requests as it takes, and what is said where one goes wrong.

A file that cannot be read, or is too large to be sent, has that as its result, as it has where the
service reads files itself; an empty one goes in its place, so that all else is judged as ever.
Something on the way, a proxy, may take less in one request than the service does: what it refuses
as too large goes again with half the bytes, down to one image, and the rest no larger than that.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import typer

from app import problems
from app.commands.local.base import File
from app.errors import UndecodableImageError
from detector.errors import DetectorError
from gatewatch import GatewatchError, ProblemError, Scores
from gatewatch.answers import Problem
from gatewatch.reading import read

PART_BYTES = 1000
"""What a form needs for each image beside its content and its name."""
TOO_LARGE = 413


class Ask(Protocol):
    """Scores images, each given by a name and a path or its content."""

    def __call__(self, *, images: Sequence[tuple[str, Any]]) -> Scores:
        """Return a result for each."""


def in_parts(ask: Ask, images: Sequence[File], most: int, room: int) -> Iterator[Scores]:
    """Yield the scores of images, as many at a time as one request may bring.

    Args:
        ask: What scores them.
        images: By their names and paths.
        most: Images of one request.
        room: Bytes of one request.

    Raises:
        DetectorError, GatewatchError, OSError: if a part cannot be scored; which one was said.
    """
    done, version = 0, 0
    waiting = deque(images)
    while waiting:
        part = _part(waiting, most, room)
        try:
            scores = _scored(ask, part)
        except (DetectorError, GatewatchError, OSError) as error:
            if len(part) > 1 and isinstance(error, ProblemError) and error.status == TOO_LARGE:
                room = sum(map(_size, part)) // 2
                waiting.extendleft(reversed(part))
                continue
            if len(part) < len(images):
                typer.echo(
                    f"gatewatch: scored {done} of {len(images)} images; it stopped at the "
                    f"{len(part)} from {part[0][0]} to {part[-1][0]}",
                    err=True,
                )
            raise
        if done and scores.version != version:
            typer.echo(
                f"Warning: version {scores.version} judged from {part[0][0]} on, version {version} "
                "before: another was put in service meanwhile",
                err=True,
            )
        done, version = done + len(part), scores.version
        yield scores


def joined(parts: Sequence[Scores]) -> Scores:
    """Return the scores of all parts as one list."""
    results = [result for part in parts for result in part.results]
    return replace(parts[0], results=[replace(one, index=at) for at, one in enumerate(results)])


def _scored(ask: Ask, part: Sequence[File]) -> Scores:
    missing: dict[Path, Problem] = {}
    while True:
        sent = [(name, b"" if path in missing else path) for name, path in part]
        try:
            scores = ask(images=sent)
        except OSError as error:
            path = Path(str(error.filename))
            if path in missing or path not in {each for _, each in part}:
                raise
            unread = UndecodableImageError(f"the file cannot be read: {error.strerror}")
            missing[path] = read(Problem, problems.of(unread).model_dump(mode="json"))
        except ProblemError as error:
            if error.status != TOO_LARGE or len(part) > 1 or missing:
                raise
            missing[part[0][1]] = error.problem
        else:
            results = zip(scores.results, part, strict=True)
            told = [
                replace(result, problem=missing.get(path, result.problem))
                for result, (_, path) in results
            ]
            return replace(scores, results=told)


def _part(waiting: deque[File], most: int, room: int) -> list[File]:
    """Take as many images as one request may bring; one that is too large is alone."""
    part = [waiting.popleft()]
    filled = _size(part[0])
    while waiting and len(part) < most and filled + _size(waiting[0]) <= room:
        part.append(waiting.popleft())
        filled += _size(part[-1])
    return part


def _size(image: File) -> int:
    """Return the bytes of an image in a form."""
    name, path = image
    try:
        content = path.stat().st_size
    except OSError:  # it is scored, too, and that says what is wrong with it
        content = 0
    return content + len(name.encode()) + PART_BYTES
