"""Many images scored in as many requests as it takes, and what is said where one goes wrong.

A file that cannot be read, or is too large to be sent, has that as its result, as it has where the
service reads files itself; an empty one goes in its place, so that all else is judged as ever.
Something on the way, a proxy, may take less in one request than the service does: what it refuses
as too large goes again with half the bytes, down to one image, and the rest no larger than that.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import typer

from app import problems
from app.commands.common import File
from app.errors import UndecodableImageError
from app.intake.local_images import words_of
from detector.errors import DetectorError, SampleError
from gatewatch import GatewatchError, ProblemError, Scores
from gatewatch.answers import Problem
from gatewatch.reading import read

PART_BYTES = 1000
"""What a form needs for each image beside its content and its name."""
TOO_LARGE = 413
NO_TEXTS: Mapping[Path, Path] = MappingProxyType({})


class Ask(Protocol):
    """Scores images, each given by a name and a path or its content."""

    def __call__(self, *, images: Sequence[tuple[str, Any]]) -> Scores:
        """Return a result for each."""


def in_parts(
    ask: Ask,
    images: Sequence[File],
    most: int,
    room: int,
    texts: Mapping[Path, Path] = NO_TEXTS,
) -> Iterator[Scores]:
    """Yield the scores of images, as many at a time as one request may bring.

    Args:
        ask: What scores them.
        images: By their names and paths.
        most: Images of one request.
        room: Bytes of one request.
        texts: Of those files that are sent with one.

    Raises:
        DetectorError, GatewatchError, OSError: if a part cannot be scored; which one was said.
    """
    done, version = 0, 0
    waiting = deque(images)
    while waiting:
        part = _part(waiting, most, room, texts)
        try:
            scores = _scored(ask, part, texts)
        except (DetectorError, GatewatchError, OSError) as error:
            if len(part) > 1 and isinstance(error, ProblemError) and error.status == TOO_LARGE:
                room = sum(_size(each, texts) for each in part) // 2
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


def _scored(ask: Ask, part: Sequence[File], texts: Mapping[Path, Path]) -> Scores:
    missing: dict[Path, Problem] = {}
    said: dict[Path, str] = {}
    for _, path in part:
        try:
            if path in texts:
                said[path] = words_of(texts[path])
        except SampleError as error:
            missing[path] = _problem(error)
    while True:
        sent = [(name, b"" if path in missing else _whole(path, said)) for name, path in part]
        try:
            scores = _asked(ask, sent)
        except OSError as error:
            path = Path(str(error.filename))
            if path in missing or path not in {each for _, each in part}:
                raise
            unread = UndecodableImageError(f"the file cannot be read: {error.strerror}")
            missing[path] = _problem(unread)
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


def _whole(path: Path, texts: Mapping[Path, str]) -> Any:
    return {"image": path, "text": texts[path]} if path in texts else path


def _asked(ask: Ask, sent: Sequence[tuple[str, Any]]) -> Scores:
    """Return a result for each, in order; pairs are sent apart from what has no text.

    The texts of a form are told by their order, and then each of its files has one.
    """
    places: dict[bool, list[int]] = {True: [], False: []}
    for at, (_, image) in enumerate(sent):
        places[isinstance(image, dict)].append(at)
    if not all(places.values()):
        return ask(images=sent)
    found = {each: ask(images=[sent[at] for at in where]) for each, where in places.items()}
    results = {
        at: result
        for each, where in places.items()
        for at, result in zip(where, found[each].results, strict=True)
    }
    return replace(found[True], results=[results[at] for at in range(len(sent))])


def _problem(error: DetectorError) -> Problem:
    return read(Problem, problems.of(error).model_dump(mode="json"))


def _part(waiting: deque[File], most: int, room: int, texts: Mapping[Path, Path]) -> list[File]:
    """Take as many images as one request may bring; one that is too large is alone."""
    part = [waiting.popleft()]
    filled = _size(part[0], texts)
    while waiting and len(part) < most and filled + _size(waiting[0], texts) <= room:
        part.append(waiting.popleft())
        filled += _size(part[-1], texts)
    return part


def _size(image: File, texts: Mapping[Path, Path]) -> int:
    """Return the bytes of an image, and of its text, in a form."""
    name, path = image
    size = len(name.encode()) + PART_BYTES
    for file in [path, *([texts[path]] if path in texts else [])]:
        with suppress(OSError):  # it is scored, too, and that says what is wrong with it
            size += file.stat().st_size
    return size
