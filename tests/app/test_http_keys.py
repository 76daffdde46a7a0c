"""Keys over HTTP: made, listed, revoked; and the description of it."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from http_helpers import problem, strict
from hypothesis import HealthCheck, settings
from key_helpers import BY, asking, bearer, opened, small_app, small_routes
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from app.access.credentials import Role
from app.clock import now
from app.storage import keys as stored
from app.storage.database import Database
from app.storage.keys import Keys


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@pytest.fixture
def admin(database: Database) -> Iterator[TestClient]:
    """A client with the admin key named root."""
    text = Keys(database).create(BY, "root", Role.ADMIN).text
    with asking(database) as client:
        client.headers.update(bearer(text))
        yield client


def make(client: TestClient, name: str = "camera", role: str = "score", **terms: Any) -> Any:
    return client.post("/v1/keys", json={"name": name, "role": role} | terms)


def test_a_key_is_shown_once(admin: TestClient) -> None:
    """Contract: 201 with the text, kept by no cache; then it works, and no answer has it again."""
    until = (now() + timedelta(days=9)).isoformat()
    response = make(admin, expires_at=until, per_minute=60)
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    made = strict(response)
    text = made.pop("key")
    assert admin.get("/v1/score", headers=bearer(text)).json() == "camera"
    listed = admin.get("/v1/keys")
    assert text[16:] not in listed.text
    assert "sha256" not in listed.text
    (root, camera) = strict(listed)["keys"]
    assert camera == made
    assert datetime.fromisoformat(made.pop("expires_at")) == datetime.fromisoformat(until)
    assert made.pop("created_at")
    assert made.pop("id") == text[3:15]
    assert made == {
        "name": "camera",
        "role": "score",
        "state": "usable",
        "per_minute": 60,
        "created_by": "root",
        "revoked_at": None,
    }
    assert (root["name"], root["created_by"], root["expires_at"]) == ("root", "tester", None)


def test_a_revoked_key_is_refused_and_still_listed(admin: TestClient) -> None:
    """Contract: 204, again too; 404 for an id that never was, 422 for what is no id."""
    made = strict(make(admin))
    for _ in range(2):
        response = admin.delete(f"/v1/keys/{made['id']}", params={"reason": "lost"})
        assert (response.status_code, response.content) == (204, b"")
    (_, camera) = strict(admin.get("/v1/keys"))["keys"]
    assert (camera["state"], camera["id"]) == ("revoked", made["id"])
    assert camera["revoked_at"]
    problem(admin.delete("/v1/keys/0123456789ab"), 404, "unknown-key")
    problem(admin.delete("/v1/keys/camera"), 422, "invalid-request")
    lines = strict(admin.get("/v1/audit", params={"subject": made["id"]}))["lines"]
    assert [(line["action"], line["who"]) for line in lines] == [
        ("create key", "root"),
        ("revoke key", "root"),
    ]
    assert lines[1]["reason"] == "lost"


def test_the_last_admin_key_is_kept(admin: TestClient) -> None:
    """Contract: 409 that says what to do; forced, it goes, and nobody administers over HTTP."""
    (root,) = strict(admin.get("/v1/keys"))["keys"]
    told = problem(admin.delete(f"/v1/keys/{root['id']}"), 409, "no-admin-key")["detail"]
    assert "gatewatch keys create NAME --role admin" in told
    assert admin.delete(f"/v1/keys/{root['id']}", params={"force": "true"}).status_code == 204


def test_the_first_key_is_an_admins(database: Database) -> None:
    """Contract: else whoever makes it has shut everybody out."""
    with asking(database) as client:
        problem(make(client, role="fit"), 409, "no-admin-key")
        assert make(client, role="admin").status_code == 201


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "root"}, "409 key-exists"),
    ({"name": "local"}, "422 invalid-key-spec"),
    ({"name": "a b"}, "422 invalid-request"),
    ({"name": "x" * 64}, "422 invalid-request"),
    ({"role": "owner"}, "422 invalid-request"),
    ({"role": None}, "422 invalid-request"),
    ({"per_minute": 0}, "422 invalid-request"),
    ({"per_minute": "60"}, "422 invalid-request"),
    ({"per_minute": 1_000_001}, "422 invalid-request"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "422 invalid-key-spec"),
    ({"expires_at": "2999-01-01T00:00:00Z"}, "422 invalid-key-spec"),
    ({"expires_at": "9999-12-31T23:59:59-23:59"}, "422 invalid-key-spec"),
    ({"expires_at": "0001-01-01T00:00:00+23:59"}, "422 invalid-key-spec"),
    ({"expires_at": "2030-01-01T00:00:00"}, "422 invalid-request"),
    ({"expires_at": "2030-01-01"}, "422 invalid-request"),
    ({"expires_at": 1893456000}, "422 invalid-request"),
    ({"expires_at": "1893456000"}, "422 invalid-request"),
    ({"secret": "of my own"}, "422 invalid-request"),
]


@pytest.mark.parametrize(("changed", "expected"), REFUSED)
def test_terms_that_cannot_be_are_refused(
    admin: TestClient, changed: dict[str, Any], expected: str
) -> None:
    """Contract: 422 or 409, and nothing is made."""
    status, kind = expected.split()
    problem(make(admin, **changed), int(status), kind)
    assert len(strict(admin.get("/v1/keys"))["keys"]) == 1


def test_keys_are_bounded(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: 409 that says what to do."""
    monkeypatch.setattr(stored, "MOST_KEYS", 1)
    assert "revoke" in problem(make(admin), 409, "too-many-keys")["detail"]


SCHEMA = schemathesis.openapi.from_dict(small_routes().openapi()).include(
    path_regex="^/v1/(keys|audit|by|score)"
)
UNSAYABLE = {f"urn:gatewatch:problem:{kind}" for kind in ("invalid-key-spec", "key-exists")}
"""What no schema can say: that a moment lies ahead, and which names were given before."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve what is described on a real socket; give its address and the text of an admin key."""
    with opened(tmp_path_factory.mktemp("served")) as database:
        text = Keys(database).create(BY, "root", Role.ADMIN).text
        server = uvicorn.Server(uvicorn.Config(small_app(database), port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", text
        server.should_exit = True
        thread.join()


@SCHEMA.parametrize()
@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
def test_the_api_does_as_described(case: Any, served: tuple[str, str]) -> None:
    """Contract: all checks of schemathesis; that it answers to no other key is among them."""
    url, text = served
    response = case.call(headers=bearer(text), base_url=url)
    unsayable = response.status_code >= 400 and response.json()["type"] in UNSAYABLE
    left_out = [positive_data_acceptance] if unsayable else []
    case.validate_response(response, excluded_checks=left_out, headers=bearer(text))
