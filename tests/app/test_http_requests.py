"""Around every request: its id, and what is said when the service itself is at fault."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from http_helpers import (
    SIDE_PX,
    calibrated,
    encode,
    make_app,
    problem,
    running,
    send,
    strict,
)
from starlette.testclient import TestClient

from app.main import describe
from detector.embedder import Embedder

BAD_NAMES = (".hidden", "-dash", "a b", "é", "a" * 64, "a%0A", "a%00", "%ED%A0%80", "a;b", "a'--")


@pytest.fixture(scope="module")
def pngs(texture: list[Any]) -> list[bytes]:
    return [encode(pixels) for pixels in texture[:40]]


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("requests"), embedder) as client:
        calibrated(client, "whole", pngs)
        yield client


@pytest.mark.parametrize("sent", ["order-66.a_B", "x" * 64])
def test_a_harmless_request_id_comes_back(client: TestClient, sent: str) -> None:
    """Contract: in the header of every answer, and in every problem."""
    headers = {"X-Request-ID": sent}
    assert client.get("/v1/info", headers=headers).headers["x-request-id"] == sent
    assert problem(client.get("/nope", headers=headers), 404, "about:blank")["request_id"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", 'a"b', "a\tb", b"caf\xe9", "{}", "a/b"])
def test_another_request_id_is_replaced(client: TestClient, sent: str) -> None:
    """Contract: what could break a log line never reaches it; each request has its own."""
    answers = [client.get("/nope", headers={"X-Request-ID": sent}) for _ in range(2)]
    ids = [problem(answer, 404, "about:blank")["request_id"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", made) for made in ids)
    assert ids[0] != ids[1]


def _takes_json() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and description of what takes JSON and nothing else."""
    for path, methods in describe().openapi()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if list(content) == ["application/json"] and not path.startswith("/v2"):
                yield method, path.replace("{name}", "whole"), operation


def test_json_under_another_content_type_is_415(client: TestClient) -> None:
    """Contract: wherever JSON is taken, and as described: curl's default is that of forms."""
    asked = list(_takes_json())
    assert ("post", "/v1/detectors") in [(method, path) for method, path, _ in asked]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for method, path, operation in asked:
        answer = client.request(method, path, content=b'{"name": "p"}', headers=headers)
        said = problem(answer, 415, "unsupported-media-type")["detail"]
        assert "send Content-Type: application/json; got 'application/x-www-form-" in said
        assert "415" in operation["responses"], path


def test_json_that_cannot_be_read_says_why_and_where(client: TestClient) -> None:
    """Contract: of the body of a setting as of samples: what is wrong, at which line and column."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    for method, path in (("PUT", "threshold"), ("POST", "score")):
        address = f"/v1/detectors/whole/{path}"
        answer = client.request(method, address, content=b"x", headers=headers)
        said = problem(answer, 422, "invalid-request")["detail"]
        assert re.fullmatch("body: Invalid JSON: [Ee]xpect(ed|ing) value at line 1 column 1", said)


def test_a_failure_nobody_foresaw_is_a_500_that_tells_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: the log has the cause under the request's id, the answer has only the id."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR, "app.problem_answers"):
        stored = client.app.state.service.storage.versions  # type: ignore[attr-defined]
        broken.setattr(stored, "entry", fail)
        response = client.get("/v1/detectors/whole", headers={"X-Request-ID": "find-me"})
    assert problem(response, 500, "about:blank")["request_id"] == "find-me"
    assert "secret" not in response.text
    assert "find-me" in caplog.text
    assert "secret" in caplog.text
    assert client.get("/v1/detectors/whole").status_code == 200


def test_a_service_that_has_not_started_is_alive_but_not_ready(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Contract: livez 200, readyz 503, scores 503 with Retry-After."""
    directory = tmp_path_factory.mktemp("idle")
    with running(directory, embedder) as client:
        calibrated(client, "whole", pngs)
    app = make_app(directory, embedder)
    idle = TestClient(app, "http://localhost", raise_server_exceptions=False)
    assert idle.get("/livez").status_code == 200
    for path in ("/readyz", "/health"):
        response = idle.get(path)
        said = strict(response)
        assert (response.status_code, said["status"]) == (503, "unavailable")
        assert said["reasons"] == ["starting or stopping"]
    problem(send(idle, "whole", pngs[0]), 503, "unavailable")
    assert strict(idle.get("/v1/detectors/whole"))["image_size"] == SIDE_PX
