"""The client's exceptions against the table of problems, and answers that are none of ours."""

import json
import re

import pytest

import gatewatch
from app import problems
from detector.errors import SampleError
from gatewatch.errors.base import GatewatchError, ProblemError, of_answer

JSON = {"content-type": "application/problem+json", "x-request-id": "r1"}


def test_there_is_a_class_for_every_problem() -> None:
    """Contract: the names, types and statuses of ``app.problems``, no more and no fewer."""
    theirs = {kind.__name__: problems.of(_made(kind)).type for kind in problems.STATUS}
    ours = {kind.__name__: kind.problem_type for kind in ProblemError.known.values()}
    own = {"InvalidRequestError", "ImageError"}
    assert {name: ours[name] for name in ours if name not in own} == theirs
    for kind in problems.STATUS:
        is_image = issubclass(kind, SampleError)
        assert issubclass(getattr(gatewatch, kind.__name__), gatewatch.ImageError) == is_image


def _made(kind: type[Exception]) -> Exception:
    return kind("said")


@pytest.mark.parametrize("kind", problems.STATUS, ids=lambda kind: kind.__name__)
def test_an_answer_becomes_its_class(kind: type[Exception]) -> None:
    """Contract: title, detail, status, request and Retry-After arrive."""
    problem = problems.of(kind("do this"))
    content = json.dumps(problem.model_dump() | {"request_id": "r1"}).encode()
    error = of_answer(problem.status, JSON | {"retry-after": "7"}, content)
    assert type(error) is getattr(gatewatch, kind.__name__)
    assert isinstance(error, GatewatchError)
    found = (error.type, error.title, error.status, error.detail, error.request_id)
    assert found == (problem.type, problem.title, problem.status, "do this", "r1")
    assert error.retry_after_s == 7
    assert error.problem.type == problem.type
    assert re.search("do this.*r1", str(error))


def test_what_else_a_problem_says_is_kept() -> None:
    content = json.dumps(
        {
            "type": "urn:gatewatch:problem:invalid-request",
            "title": "Invalid request",
            "status": 422,
            "detail": "query.k: wrong",
            "errors": [{"where": "query.k", "message": "wrong"}],
        }
    ).encode()
    error = of_answer(422, JSON, content)
    assert type(error) is gatewatch.InvalidRequestError
    assert error.more == {"errors": [{"where": "query.k", "message": "wrong"}]}


def test_a_type_that_only_newer_servers_know() -> None:
    content = json.dumps({"type": "urn:gatewatch:problem:new", "title": "New", "detail": "x"})
    error = of_answer(418, {}, content.encode())
    assert type(error) is ProblemError
    assert (error.type, error.status) == ("urn:gatewatch:problem:new", 418)


@pytest.mark.parametrize(
    "content", [b"<html>Bad gateway</html>", b"", b"[]", b'{"title": 1}', b"\xff\xfe", b"null"]
)
def test_an_answer_that_is_no_problem(content: bytes) -> None:
    """Contract: a proxy's page is told as it is, and never fails the client."""
    error = of_answer(502, {}, content)
    assert type(error) is ProblemError
    assert (error.status, error.title, error.request_id) == (502, "Bad Gateway", "")
    assert error.detail


@pytest.mark.parametrize(
    ("asked", "least_s", "most_s"),
    [
        ("3", 3, 3),
        ("0", 0, 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 1e9, 1e12),
    ],
)
def test_retry_after_is_read(asked: str, least_s: float, most_s: float) -> None:
    """Contract: seconds and dates, RFC 9110."""
    found = of_answer(503, {"retry-after": asked}, b"").retry_after_s
    assert found is not None
    assert least_s <= found <= most_s


@pytest.mark.parametrize("asked", ["", "soon", "-1"])
def test_a_retry_after_that_says_nothing(asked: str) -> None:
    assert of_answer(503, {"retry-after": asked}, b"").retry_after_s is None
