"""The root of what can go wrong, and the way from an answer to the exception that stands for it.

::

    GatewatchError
    ├── ServerUnreachableError    no answer came
    ├── UnexpectedAnswerError     what came is no answer of this API
    ├── JobCancelledError         somebody has cancelled the job that was waited for
    ├── ResultsFileError          a results file that is another run's, or in use
    └── ProblemError              the server says what is wrong (RFC 9457); a class for each type
        ├── InvalidRequestError
        ├── ImageError            of one image or other sample; UndecodableImageError and others
        └── UnknownDetectorError, OverloadedError, ...
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from gatewatch.answers.problem import Problem

PREFIX = "urn:gatewatch:problem:"
SHOWN = 300
"""Characters shown of an answer that is no problem."""


class GatewatchError(Exception):
    """Root of what the client raises, but for wrong arguments (ValueError, TypeError)."""


class ServerUnreachableError(GatewatchError):
    """No answer came: the server is down, or the way to it; the message says what was tried."""


class UnexpectedAnswerError(GatewatchError):
    """What came is no answer of this API: is this the address of a gatewatch?"""


class JobCancelledError(GatewatchError):
    """The job was cancelled before its end."""


class ResultsFileError(GatewatchError):
    """The results file belongs to another run, or another run writes it; take another path."""


class ProblemError(GatewatchError):
    """The server says what is wrong; of this very class where the client does not know the type.

    Attributes:
        title: What kind of problem it is, in words.
        detail: What is wrong, and what to do.
        status: Of HTTP.
        type: Stable name of the kind; ``about:blank`` where the status says all.
        retry_after_s: When it is worth trying again, if the server says so.
        request_id: Under which the server's log has it; empty for a problem inside of an answer.
        more: What else the answer said.
    """

    problem_type: ClassVar[str] = "about:blank"
    known: ClassVar[dict[str, type["ProblemError"]]] = {}
    """The classes by the type that each stands for."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        words = re.findall("[A-Z][a-z0-9]*", cls.__name__.removesuffix("Error"))
        cls.problem_type = PREFIX + "-".join(words).lower()
        ProblemError.known[cls.problem_type] = cls

    def __init__(
        self,
        problem: Problem,
        *,
        retry_after_s: float | None = None,
        request_id: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(problem, retry_after_s, request_id)
        self.title = problem.title
        self.detail = problem.detail
        self.status = problem.status
        self.type = problem.type
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.more = dict(more or {})

    def __str__(self) -> str:
        asked = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.title}: {self.detail}{asked}"

    @property
    def problem(self) -> Problem:
        """The problem as it stands in answers."""
        return Problem(type=self.type, title=self.title, status=self.status, detail=self.detail)


class InvalidRequestError(ProblemError):
    """A parameter or the body is not valid; ``more["errors"]`` names each place."""


def raised(problem: Problem, **about: Any) -> ProblemError:
    """Return the exception that stands for a problem."""
    return ProblemError.known.get(problem.type, ProblemError)(problem, **about)


def of_answer(status: int, headers: Mapping[str, str], content: bytes) -> ProblemError:
    """Return the exception that stands for an answer with a status of 400 or more."""
    try:
        said = json.loads(content)
        problem = Problem(
            type=str(said.pop("type")),
            title=str(said.pop("title")),
            status=status,
            detail=str(said.pop("detail")),
        )
    except (ValueError, LookupError, AttributeError, TypeError):  # a proxy's page, not a problem
        text = content[:SHOWN].decode(errors="replace").strip()
        said, problem = (
            {},
            Problem(
                type="about:blank", title=phrase(status), status=status, detail=text or "(no text)"
            ),
        )
    return raised(
        problem,
        retry_after_s=retry_after_s(headers),
        request_id=headers.get("x-request-id", ""),
        more={key: value for key, value in said.items() if key not in ("status", "request_id")},
    )


def phrase(status: int) -> str:
    """Return the words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return for how long an answer asks to wait: seconds, or a date (RFC 9110, 10.2.3)."""
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    if not asked:
        return None
    from datetime import UTC, datetime  # rarely needed
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
