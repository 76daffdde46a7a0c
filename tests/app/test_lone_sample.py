"""A lone sample is answered as FastAPI would answer it: the route's two ways beside each other."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.routing import iter_route_contexts
from history_helpers import NAME, Line, picture

from app import lone_sample
from app.access.credentials import Role
from app.access.guard import needs
from app.deadlines import TIMEOUT
from app.images.sources import Upload
from app.lone_sample import ScoreRoute
from app.main import describe
from app.middleware import DOCUMENT_BYTES
from app.routes import score as routes
from app.schemas.scores import Scores

PATH = f"/v1/detectors/{NAME}/score"
OCTETS = {"Content-Type": "application/octet-stream"}
OF_ITS_OWN = {"id", "timings_ms", "request_id"}
"""What differs from one request to the next, however it is answered."""
SHORT = {"scored", "odd", "no image", "empty", "text", "unknown", "larger than a document"}
"""The requests that go the short way; all others go FastAPI's."""
REQUESTS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "scored": (PATH, picture(1), OCTETS),
    "odd": (PATH, picture(2, odd=90), OCTETS | {"Content-Type": "image/bmp; a=b"}),
    "no image": (PATH, b"no image", OCTETS),
    "empty": (PATH, b"", OCTETS),
    "text": (PATH, b"words", {"Content-Type": "text/plain"}),
    "unknown": ("/v1/detectors/nobody/score", picture(1), OCTETS),
    "no name": ("/v1/detectors/-/score", picture(1), OCTETS),
    "no type": (PATH, picture(1), {}),
    "another type": (PATH, picture(1), {"Content-Type": "font/woff"}),
    "larger than a document": (PATH, bytes(DOCUMENT_BYTES + 1), OCTETS),
    "no time": (PATH, picture(1), OCTETS | {TIMEOUT: "soon"}),
    "no key": (PATH, picture(1), OCTETS | {"Origin": "http://elsewhere"}),
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the requests that went the short way."""
    paths: list[str] = []
    as_made = lone_sample._upload

    async def upload(request: Request) -> Upload:
        paths.append(request.url.path)
        return await as_made(request)

    monkeypatch.setattr(lone_sample, "_upload", upload)
    return paths


def told(answer: Any) -> tuple[int, set[str], Any]:
    """Return what is the same of all answers to one request: status, headers, body."""
    length = len(answer.content)
    assert answer.headers["content-length"] == str(length)
    names = {f"{name}: {value}" for name, value in answer.headers.items() if name == "content-type"}
    body = {k: v for k, v in answer.json().items() if k not in OF_ITS_OWN}
    for result in body.get("results", []):
        for name in OF_ITS_OWN:
            result.pop(name, None)
    return answer.status_code, names | set(answer.headers), body


@pytest.mark.parametrize("kind", REQUESTS)
def test_both_ways_answer_alike(
    bolts: Line, monkeypatch: pytest.MonkeyPatch, short: list[str], kind: str
) -> None:
    """Law: a lone sample by the short way = the same by FastAPI's."""
    path, content, headers = REQUESTS[kind]
    answer = bolts.client.post(path, content=content, headers=headers)
    assert short == ([path] if kind in SHORT else [])
    monkeypatch.setattr(lone_sample, "_is_lone", lambda _: False)
    assert told(answer) == told(bolts.client.post(path, content=content, headers=headers))
    assert len(short) == (kind in SHORT)


@pytest.mark.parametrize("query", ["group=lot-8", "version=1", "allow_stale=true", "places=false"])
def test_what_is_asked_is_not_passed_over(
    bolts: Line, monkeypatch: pytest.MonkeyPatch, short: list[str], query: str
) -> None:
    """Contract: any query, and a time limit, go FastAPI's way."""
    asked: list[dict[str, Any]] = []
    as_made = bolts.service.score

    async def score(*arguments: Any, **how: Any) -> Any:
        asked.append({name: str(value).lower() for name, value in how.items()})
        return await as_made(*arguments, **how)

    monkeypatch.setattr(bolts.service, "score", score)
    bolts.client.post(f"{PATH}?{query}", content=picture(1), headers=OCTETS)
    name, _, value = query.partition("=")
    assert asked[0][name] == value
    assert short == []


def test_the_answer_is_written_alike(
    bolts: Line, monkeypatch: pytest.MonkeyPatch, short: list[str]
) -> None:
    """Law: byte by byte, of the same scores."""
    answer = Scores.model_validate(
        bolts.client.post(PATH, content=picture(1), headers=OCTETS).json()
    )
    monkeypatch.setattr(routes.Scores, "of", lambda _: answer)
    written = bolts.client.post(PATH, content=picture(1), headers=OCTETS).content
    assert short == [PATH, PATH]
    monkeypatch.setattr(lone_sample, "_is_lone", lambda _: False)
    assert written == bolts.client.post(PATH, content=picture(1), headers=OCTETS).content
    assert short == [PATH, PATH]


async def _more() -> None:
    """Do what the short way knows nothing of."""


def test_what_the_short_way_would_pass_over_is_refused() -> None:
    """Contract: a route with another parameter or dependency is not made; with more roles it is."""

    async def asks_more(name: str) -> None:
        """Take a name of another form, and nothing else."""

    made = APIRouter(dependencies=[needs(Role.SCORE)], route_class=ScoreRoute)
    with pytest.raises(TypeError, match="/asks_more"):
        made.add_api_route("/asks_more", asks_more)
    with pytest.raises(TypeError, match="/needs_more"):
        made.add_api_route("/needs_more", routes.score, dependencies=[Depends(_more)])
    made.add_api_route("/{name}", routes.score, dependencies=[needs(Role.ADMIN)])
    (route,) = made.routes
    assert isinstance(route, ScoreRoute)
    assert route._roles() == [Role.SCORE, Role.ADMIN]


def test_the_application_adds_no_dependency() -> None:
    """Contract: the short way sees those of the router and of the route, no others."""
    served = iter_route_contexts(describe().routes)
    (found,) = (route for route in served if isinstance(route.original_route, ScoreRoute))
    assert found.dependencies == found.original_route.dependencies
