"""One request and what its answer means, without a word about how it is sent: sync and async do.

``route`` is method and path as the API describes them, with the names of the path's parts; it
begins with them so that a test can compare all calls with the description.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from gatewatch.answers import JobInfo
from gatewatch.bodies import Body
from gatewatch.errors.base import ProblemError, UnexpectedAnswerError, of_answer
from gatewatch.reading import read

T = TypeVar("T")
R = TypeVar("R")
Query = Mapping[str, Any]
IDEMPOTENCY_KEY = "idempotency-key"


@dataclass(frozen=True)
class Answer:
    """What came back; headers by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        route: Method and template of the path: ``GET /v1/detectors/{name}``.
        meaning: Makes what the caller gets of the answer's body.
        parts: What the template's names stand for.
        query: Parameters; None is left out.
        headers: Besides those of every request.
        document: Body in JSON.
        body: Any other body.
        repeatable: Whether it may be sent again though the first may have been carried out.
        also: Statuses of 400 or more that are answers nevertheless, when they come as JSON.
        instead: Makes what the caller gets of a problem, or raises it.
        to: File that the answer's body is written to, as it comes.
    """

    route: str
    meaning: Callable[[bytes], T]
    parts: Mapping[str, str | int] = field(default_factory=dict)
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    body: Body | None = None
    repeatable: bool = False
    also: frozenset[int] = frozenset()
    instead: Callable[[ProblemError], T] | None = None
    to: Path | None = None

    @property
    def method(self) -> str:
        """GET, POST, ..."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path, its parts filled in. Raises ValueError."""
        filled = {name: _part(name, value) for name, value in self.parts.items()}
        return self.route.partition(" ")[2].format(**filled)

    @property
    def parameters(self) -> dict[str, Any]:
        """The query as it is sent."""
        return {name: _sent(value) for name, value in self.query.items() if value is not None}

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again though the first may have been carried out."""
        return (
            self.repeatable or self.method == "GET" or IDEMPOTENCY_KEY in self.headers
        ) and self.has_again

    @property
    def has_again(self) -> bool:
        """Whether its body can be read once more."""
        return self.body is None or self.body.again

    def is_answer(self, answer: Answer) -> bool:
        """Whether an answer says what was asked for, and not that something is wrong."""
        as_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status < 300 or (answer.status in self.also and as_json)

    def outcome(self, answer: Answer) -> T:
        """Return what the answer means.

        Raises:
            ProblemError: if the server says what is wrong.
            UnexpectedAnswerError: if it is no answer of this API.
        """
        if not self.is_answer(answer):
            problem = of_answer(answer.status, answer.headers, answer.content)
            if self.instead is None:
                raise problem
            return self.instead(problem)
        return self.meaning(answer.content)


@dataclass(frozen=True)
class After(Generic[T]):
    """A request that can be made only once another is answered.

    Attributes:
        first: The other.
        then: Makes the request of what that one's answer means.
    """

    first: "Request[Any]"
    then: "Callable[[Any], Request[T]]"


Request = Call[T] | After[T]


@dataclass(frozen=True)
class Submission(Generic[R]):
    """A request that begins a job, and what the job's result means."""

    call: Request[JobInfo]
    result: type[R]


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list that comes page by page.

    Attributes:
        page: Makes the request for the page that a cursor stands for; None for the first.
        items: Takes a page apart: what is on it, and the cursor of the next or None.
        most: At most so many; None for all.
    """

    page: Callable[[Any], Call[Any]]
    items: Callable[[Any], tuple[list[T], Any]]
    most: int | None = None


def answers(kind: type[T]) -> Callable[[bytes], T]:
    """Return what reads JSON as a dataclass."""
    return lambda content: read(kind, document(content))


def document(content: bytes) -> Any:
    """Return the JSON of an answer. Raises UnexpectedAnswerError."""
    try:
        return json.loads(content)
    except ValueError as error:
        shown = content[:100].decode(errors="replace")
        raise UnexpectedAnswerError(
            f"the answer is no JSON but {shown!r}: is this the address of a gatewatch?"
        ) from error


def nothing(_content: bytes) -> None:
    """Read an answer that says nothing."""


def as_it_is(content: bytes) -> bytes:
    """Return the answer's body."""
    return content


def idempotent() -> dict[str, str]:
    """Return the header under which the same submission makes one job, however often it is sent."""
    return {IDEMPOTENCY_KEY: uuid.uuid4().hex}


def _part(name: str, value: str | int) -> str:
    text = str(value)
    if text in ("", ".", ".."):  # which would lead to another path
        raise ValueError(f"{name} cannot be {text!r}")
    return quote(text, safe="")


def _sent(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
