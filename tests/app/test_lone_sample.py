"""A lone sample is answered as FastAPI would answer it: the route's two ways beside each other."""

from typing import Any

import pytest
from history_helpers import NAME, Line, picture

from app import lone_sample
from app.deadlines import TIMEOUT
from app.middleware import DOCUMENT_BYTES
from app.routes import score as routes
from app.schemas.scores import Scores

PATH = f"/v1/detectors/{NAME}/score"
OCTETS = {"Content-Type": "application/octet-stream"}
OF_ITS_OWN = {"id", "timings_ms", "request_id"}
"""What differs from one request to the next, however it is answered."""
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
def test_both_ways_answer_alike(bolts: Line, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Law: a lone sample by the short way = the same by FastAPI's."""
    path, content, headers = REQUESTS[kind]
    short = bolts.client.post(path, content=content, headers=headers)
    monkeypatch.setattr(lone_sample, "_is_lone", lambda _: False)
    assert told(short) == told(bolts.client.post(path, content=content, headers=headers))


@pytest.mark.parametrize("query", ["group=lot-8", "version=1", "allow_stale=true", "places=false"])
def test_what_is_asked_is_not_passed_over(
    bolts: Line, monkeypatch: pytest.MonkeyPatch, query: str
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


def test_the_answer_is_written_alike(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: byte by byte, of the same scores."""
    answer = Scores.model_validate(
        bolts.client.post(PATH, content=picture(1), headers=OCTETS).json()
    )
    monkeypatch.setattr(routes.Scores, "of", lambda _: answer)
    short = bolts.client.post(PATH, content=picture(1), headers=OCTETS).content
    monkeypatch.setattr(lone_sample, "_is_lone", lambda _: False)
    assert short == bolts.client.post(PATH, content=picture(1), headers=OCTETS).content
