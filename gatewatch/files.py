"""The files of a folder, scored one by one: what is left to do, and what keeps what is done.

The results file has a line of JSON for each image, written when its answer is there, after a first
line that says what the run is, a mask by its SHA-256. A second run over the same file goes on where
the first stopped, however that ended; a line that was cut short is taken away. What is kept is
known by its path: a file that was changed since is not looked at again. Problems that may pass (of
the server, or of a file that cannot be read just now) are not kept, and so are tried again.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gatewatch.answers import ImageResult, Problem
from gatewatch.answers.scores import Scores
from gatewatch.bodies import Mask, many
from gatewatch.calls import Call, Request, document
from gatewatch.errors.base import ProblemError, ResultsFileError, UnexpectedAnswerError
from gatewatch.errors.images import ImageError
from gatewatch.folders import OF_IMAGES, Looked, is_mixed, of_folder, texts_in, walk
from gatewatch.images import Path_, piece
from gatewatch.operations.looking import look_of
from gatewatch.operations.scoring import within
from gatewatch.reading import read

Order = Literal["path", "completion"]
FORMAT = 1
TOO_LARGE = 413
SERVERS = 500
AHEAD = 8
"""How many files may be done before the one whose turn it is, for each that is sent at once."""
LEAVE_S = 5.0
"""How long who stops early waits for what is on its way, so that it is not sent a second time."""


@dataclass(frozen=True, kw_only=True)
class FileScore:
    """What was said of one file; its ``result`` has a problem if it could not be scored."""

    path: str
    """Relative to the folder."""
    detector: str
    version: int | None
    """That said it; None for a file that could not be sent."""
    result: ImageResult


class FolderRun:
    """The scoring of a folder.

    Attributes:
        look: Request that tells which files are samples; None if they are images, all of them.
        paths: Those, by path relative to the folder, once they are found.
        todo: Paths that are left.
        kept: What earlier runs have done, in the order of the results file.
    """

    def __init__(
        self, name: str, folder: Path_, results: Path_ | None, how: Mapping[str, Any]
    ) -> None:
        """Read the mask, which goes with every file.

        Raises:
            NotADirectoryError: if it is no folder.
            OSError: if the mask cannot be read.
        """
        self.name = name
        self.how = {key: value for key, value in how.items() if value is not None}
        if "mask" in self.how:
            self.how["mask"] = _in_memory(self.how["mask"])
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder")
        self.look: Request[Looked] | None = look_of([name]) if is_mixed(folder) else None
        self._texts: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self.todo: list[str] = []
        self.kept: list[FileScore] = []
        self._results = None if results is None else Path(results)
        self._file: Any = None

    def find(self, look: Looked) -> None:
        """List the files that are samples, and those of them that are left."""
        self._texts = texts_in(self._folder, look)
        self.paths = dict(walk(self._folder, look.suffixes))
        self.kept = [score for score in self.kept if score.path in self.paths]
        done = {score.path for score in self.kept}
        self.todo = [each for each in self.paths if each not in done]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Read what is kept, and keep what comes; files are listed if nothing has to be asked.

        Raises:
            ResultsFileError: if the file is another run's, or another process writes it.
        """
        with ExitStack() as opened:
            if self._results is not None:
                self._file = opened.enter_context(self._results.open("a+b", buffering=0))
                _lock(self._file, self._results)
                self._resume(self._results)
            if self.look is None:
                self.find(OF_IMAGES)
            yield

    def call(self, path: str) -> Call[FileScore]:
        """Return the request that scores a file. Raises OSError if it cannot be read."""

        def meaning(content: bytes) -> FileScore:
            said = read(Scores, document(content))
            return self._said(path, said.results[0], said.version)

        def instead(problem: ProblemError) -> FileScore:
            if isinstance(problem, ImageError) or problem.status == TOO_LARGE:
                return self._said(path, _invalid(path, problem.problem), None)
            raise problem

        how = dict(self.how)
        files = of_folder(self.paths[path], path, self._texts.get(path))
        return Call(
            "POST /v1/detectors/{name}/score",
            meaning,
            parts={"name": self.name},
            headers=within(how.pop("timeout_s", None)),
            body=many(files, how.pop("mask", None)),
            query=how,
            repeatable=True,
            instead=instead,
        )

    def unreadable(self, path: str, error: OSError) -> FileScore:
        """Return what is said of a file that cannot be read here."""
        problem = Problem(type="about:blank", title="Unreadable file", status=0, detail=str(error))
        return self._said(path, _invalid(path, problem), None)

    def keep(self, score: FileScore) -> None:
        """Write a result to the file at once, if it is final."""
        problem = score.result.problem
        if self._file is None or (problem and not 0 < problem.status < SERVERS):
            return
        self._file.write(json.dumps(asdict(score)).encode() + b"\n")

    def _said(self, path: str, result: ImageResult, version: int | None) -> FileScore:
        return FileScore(path=path, detector=self.name, version=version, result=result)

    def _resume(self, path: Path) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        ours = {"gatewatch_results": FORMAT, "detector": self.name} | _plain(self.how)
        header = json.dumps(ours).encode() + b"\n"
        if header.startswith(content):  # new, or cut short before its first line was whole
            self._file.truncate(0)
            self._file.write(header)
            return
        first, *lines = content[:whole].splitlines() or [b""]
        try:
            theirs = json.loads(first)
            if not isinstance(theirs, dict) or "gatewatch_results" not in theirs:
                raise ValueError("its first line is none of ours")
            if theirs == ours:
                kept = [read(FileScore, json.loads(line)) for line in lines]
        except (ValueError, UnexpectedAnswerError) as error:
            raise ResultsFileError(f"{path} is no results file: take another path") from error
        if theirs != ours:
            raise ResultsFileError(
                f"{path} has the results of another run, {theirs}; this one is {ours}: take "
                "another path, or remove the file"
            )
        self._file.truncate(whole)  # only now: until here it could have been somebody else's
        self.kept = kept


class InOrder:
    """Holds back results until those before them are there, or hands them on as they come.

    Args:
        paths: In the order in which they are handed on.
        order: Whether they are, or as they come.
        kept: Results that are there already; they are in memory anyway, and hold up nothing.
    """

    def __init__(self, paths: Iterable[str], order: Order, kept: Iterable[FileScore]) -> None:
        self._turns = deque(paths) if order == "path" else None
        self._kept = {score.path: score for score in kept}
        self._held: dict[str, FileScore] = {}

    def room(self, concurrency: int, pending: int) -> int:
        """Return how many more files may be sent while so many are on their way."""
        behind = len(self._held) >= AHEAD * concurrency
        return 0 if behind and pending else concurrency - pending

    def take(self, scores: Iterable[FileScore] = ()) -> Iterator[FileScore]:
        """Yield what may be handed on now."""
        if self._turns is None:
            yield from self._kept.values()
            self._kept = {}
            yield from scores
            return
        self._held |= {score.path: score for score in scores}
        while self._turns:
            there = self._held if self._turns[0] in self._held else self._kept
            if self._turns[0] not in there:
                return
            yield there.pop(self._turns.popleft())


def _invalid(path: str, problem: Problem) -> ImageResult:
    return ImageResult(index=0, name=path, verdict="invalid", problem=problem)


def _in_memory(mask: Mask) -> Mask:
    """Return a mask that many requests can send at once: polygons, or a name and bytes."""
    if isinstance(mask, list):
        return mask
    made = piece(mask)
    return made.name, b"".join(made.pieces())


def _plain(how: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes results, as JSON gives it back; of a mask, its digest."""
    told = {key: value for key, value in how.items() if key not in ("mask", "timeout_s")}
    if "mask" in how:
        mask = how["mask"]
        content = json.dumps(mask).encode() if isinstance(mask, list) else mask[1]
        told["mask"] = hashlib.sha256(content).hexdigest()
    return dict(json.loads(json.dumps(told)))


def _lock(file: Any, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # on Windows two runs at once are not told apart
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ResultsFileError(f"another run writes {path}: wait for it") from error


def checked(concurrency: int, order: Order) -> int:
    """Return how many files are sent at once. Raises ValueError."""
    if concurrency < 1:
        raise ValueError("concurrency is at least 1")
    if order not in ("path", "completion"):
        raise ValueError("order is 'path' or 'completion'")
    return concurrency
