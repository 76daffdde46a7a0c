"""Every failure is one shape: expected, unexpected, or made by the framework."""

import importlib
import logging
import pkgutil
import re
from http import HTTPStatus
from itertools import chain
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, HTTPException, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel

import app
import detector
import models
from app import problem_answers, problems
from app.middleware import Observe
from app.problems import STATUS, docs
from app.telemetry import Telemetry
from detector.errors import DetectorError

SECRET = "the password is in /etc/shadow"


def _kinds() -> list[type[DetectorError]]:
    """Return every error of the program that has no kind below it, all modules being imported."""
    for package in (app, detector, models):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)

    def below(kind: type[DetectorError]) -> list[type[DetectorError]]:
        kinds = kind.__subclasses__()
        return list(chain.from_iterable(map(below, kinds))) if kinds else [kind]

    ours = ("app.", "detector.", "models.")  # a test may have errors of its own
    return sorted({k for k in below(DetectorError) if k.__module__.startswith(ours)}, key=str)


KINDS = _kinds()


class Body(BaseModel):
    size: int


def _api() -> FastAPI:
    api = FastAPI()
    problem_answers.install(api)
    api.add_middleware(Observe, telemetry=Telemetry())

    @api.get("/expected/{place}")
    def expected(place: int) -> None:
        raise KINDS[place](f"{SECRET} no {place}")

    @api.get("/unexpected")
    def unexpected() -> None:
        raise RuntimeError(SECRET)

    @api.get("/http")
    def http() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Pot": "tea"})

    @api.post("/body")
    def body(body: Body, most: Annotated[int, Query(le=9)] = 1) -> None: ...

    @api.post("/optional")
    def optional(body: Body | None = None) -> None: ...

    @api.delete("/body")
    def delete() -> None: ...

    return api


@pytest.fixture(scope="module")
def client() -> Any:
    with TestClient(_api(), raise_server_exceptions=False) as client:
        yield client


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """Return a response's problem after checking what all have in common."""
    assert response.status_code == status
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"] != ""
    return problem


def test_every_expected_failure_has_a_status() -> None:
    """Contract: neither error without status, nor status without an error that is raised."""
    assert len(KINDS) > 15
    assert set(KINDS) == set(STATUS)
    assert all(400 <= status < 600 for status in STATUS.values())


def test_types_are_stable_unique_names() -> None:
    """Contract: a client may tell failures apart by type alone; a subclass is its own parent."""
    types = [problems.of(kind("why")).type for kind in KINDS]
    assert len(set(types)) == len(KINDS)
    for name in types:
        assert name.startswith("urn:gatewatch:problem:")
        assert name.removeprefix("urn:gatewatch:problem:").replace("-", "").isalpha()
        assert name == name.lower()
    assert "urn:gatewatch:problem:unknown-detector" in types
    special = type("SpecialError", (KINDS[0],), {})
    assert problems.of(special("why")) == problems.of(KINDS[0]("why"))


@pytest.mark.parametrize("place", range(len(KINDS)), ids=lambda place: KINDS[place].__name__)
def test_expected_failures_say_what_to_do(place: int, client: TestClient) -> None:
    """Contract: the error's words, its status, and when to come again if that helps."""
    kind = KINDS[place]
    response = client.get(f"/expected/{place}")
    problem = problem_of(response, STATUS[kind])
    assert problem["detail"] == f"{SECRET} no {place}"  # written for clients, so passed on
    assert problem["type"] == problems.of(kind("")).type
    assert ("retry-after" in response.headers) == (STATUS[kind] in (429, 503))
    assert response.headers.get("www-authenticate") == problem_answers.CHALLENGES.get(kind)
    assert STATUS[kind] != 401 or kind in problem_answers.CHALLENGES


def test_unexpected_failures_tell_nothing(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: the client gets an id, the log gets the cause beside it."""
    with caplog.at_level(logging.ERROR):
        response = client.get("/unexpected", headers={"X-Request-ID": "find-me"})
    problem = problem_of(response, 500)
    assert SECRET not in response.text
    assert "RuntimeError" not in response.text
    assert "Traceback" not in response.text
    assert problem["type"] == "about:blank"
    assert problem["request_id"] == "find-me"
    (record,) = [r for r in caplog.records if r.name == "app.problem_answers"]
    assert "find-me" in record.getMessage()
    assert record.exc_info
    assert SECRET in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PATCH", "/body", 405),
        ("GET", "/body", 405),
        ("GET", "/http", 418),
    ],
)
def test_failures_of_the_framework_have_the_same_shape(
    method: str, path: str, status: int, client: TestClient
) -> None:
    """Contract: about:blank, titled by the status' own phrase."""
    response = client.request(method, path)
    problem = problem_of(response, status)
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    if status == 405:
        assert response.headers["allow"] == "DELETE, POST"
    if status == 418:
        assert problem["detail"] == "short and stout"
        assert response.headers["x-pot"] == "tea"


@pytest.mark.parametrize(
    ("path", "body", "places"),
    [
        ("/body", b'{"size": "large"}', ["body.size"]),
        ("/body?most=10", b"{}", ["query.most", "body.size"]),
        ("/body", b"", ["body"]),
        ("/body", b"[1]", ["body"]),
    ],
)
def test_invalid_requests_name_every_place(
    path: str, body: bytes, places: list[str], client: TestClient
) -> None:
    """Contract: where and what, in the detail for people and in a list for programs."""
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    problem = problem_of(response, 422)
    assert problem["type"] == "urn:gatewatch:problem:invalid-request"
    assert [item["where"] for item in problem["errors"]] == places
    for item in problem["errors"]:
        assert f"{item['where']}: {item['message']}" in problem["detail"]
    assert "large" not in response.text  # what was sent is not sent back


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"x", "Invalid JSON: Expecting value at line 1 column 1"),
        (b'{"size": ', "Invalid JSON: Expecting value at line 1 column 10"),
        (b'{\n "size": 1,\n}', "Invalid JSON: .* at line [23] column "),
        (b'{"size": "\xff"}', "Invalid JSON: no utf-8 at byte 11"),
        ('{"size": "ä'.encode("utf-16-le") + b"x", "Invalid JSON: no utf-16-le at byte 23"),
        (b'{"size": ' + b"9" * 5000 + b"}", "Invalid JSON: a number of too many digits"),
        (b"[" * 100_000, "Invalid JSON: nested too deeply"),
    ],
)
def test_invalid_json_is_told_as_such(body: bytes, message: str, client: TestClient) -> None:
    """Contract: with what is wrong, and the place in the body where it went wrong."""
    response = client.post("/body", content=body, headers={"content-type": "application/json"})
    (found,) = problem_of(response, 422)["errors"]
    assert found["where"] == "body"
    assert re.match(message, found["message"])
    assert response.json()["detail"] == f"body: {found['message']}"


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("application/x-www-form-urlencoded", "'application/x-www-form-urlencoded'"),
        ("text/json; charset=utf-8", "'text/json; charset=utf-8'"),
        (None, "none"),
    ],
)
@pytest.mark.parametrize("body", [b'{"size": 1}', b'{"size": '])
def test_json_that_is_not_announced_is_415(
    sent: str | None, got: str, body: bytes, client: TestClient
) -> None:
    """Contract: whatever the body is, what came and what to send in its place."""
    headers = {} if sent is None else {"content-type": sent}
    found = problem_of(client.post("/body?most=10", content=body, headers=headers), 415)
    assert found["type"] == "urn:gatewatch:problem:unsupported-media-type"
    assert found["detail"] == f"send Content-Type: application/json; got {got}"


@pytest.mark.parametrize(
    "sent",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"],
)
def test_json_by_its_other_names_is_json(sent: str, client: TestClient) -> None:
    """Contract: with parameters, in any case, and of any dialect."""
    headers = {"content-type": sent}
    assert client.post("/body", content=b'{"size": 1}', headers=headers).status_code == 200
    assert client.post("/optional", content=b'{"size": 1}', headers=headers).status_code == 200


@pytest.mark.parametrize("sent", ["application/x-www-form-urlencoded", "application/json", ""])
def test_no_body_is_of_no_content_type(sent: str, client: TestClient) -> None:
    """Contract: a route goes on without a body it does not need; else that is what is missing."""
    headers = {"content-type": sent}
    assert client.post("/optional", headers=headers).status_code == 200
    (found,) = problem_of(client.post("/body", headers=headers), 422)["errors"]
    assert found == {"where": "body", "message": "Field required"}


def test_documented_responses_are_those_of_the_table() -> None:
    """Contract: each status once, with the first line of every error that has it."""
    described = docs(*KINDS, body=True)
    assert set(described) == {*STATUS.values(), 400, 408, 413, 415, 422}
    for kind in KINDS:
        first = (kind.__doc__ or "").splitlines()[0]
        assert first.endswith(".")
        assert first in described[STATUS[kind]]["description"]
    assert set(docs()) == {422}
    assert all(problems.MEDIA_TYPE in entry["content"] for entry in described.values())
