"""Who gets in with a key over HTTP, who does not, and what they are told."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import Request
from http_helpers import problem
from key_helpers import BY, ask, asking, bearer, one_of_each, opened, recorded, small_app

from app.access import guard
from app.access.credentials import Role, invent
from app.clock import now
from app.storage.database import Database
from app.storage.keys import Keys


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@pytest.fixture
def texts(database: Database) -> dict[str, str]:
    """A key's text of each role, and of one that may ask once a minute."""
    return one_of_each(Keys(database))


def test_each_role_does_what_it_covers(database: Database, texts: dict[str, str]) -> None:
    """Contract: the other calls are 403 and name both roles; either header carries a key."""
    with asking(database) as client:
        for held, needed in itertools.product(Role, Role):
            for headers in (bearer(texts[held]), {"x-api-key": texts[held]}):
                response = ask(client, needed, headers)
                if held.includes(needed):
                    assert response.status_code == 200
                else:
                    told = problem(response, 403, "role-too-low")["detail"]
                    assert f"'{needed}'" in told
                    assert f"'{held}-1' has role '{held}'" in told
                    challenge = response.headers["www-authenticate"]
                    assert challenge == 'Bearer realm="gatewatch", error="insufficient_scope"'


def test_without_a_key_nothing_is_answered(database: Database, texts: dict[str, str]) -> None:
    """Contract: 401 with the scheme and how to send a key, unknown addresses included."""
    foreign = {"authorization": "Basic YTpi"}  # of a proxy in between: no key of ours
    with asking(database) as client:
        for path in ("/v1/score", "/v1/by", "/v1/keys", "/v1/audit", "/v1/nowhere", "/nowhere"):
            for headers in (None, foreign):
                response = client.get(path, headers=headers)
                told = problem(response, 401, "key-required")
                assert "Authorization: Bearer KEY" in told["detail"]
                assert response.headers["www-authenticate"] == 'Bearer realm="gatewatch"'
        assert ask(client, "score", foreign | {"x-api-key": texts["score"]}).status_code == 200


def test_a_key_that_is_none_is_refused(database: Database, texts: dict[str, str]) -> None:
    """Contract: one answer for unknown, wrong and revoked, so that it tells nothing of ids."""
    keys = Keys(database)
    gone = keys.create(BY, "gone", Role.ADMIN)
    keys.revoke(BY, gone.key.id)
    known = texts["admin"][3:15]
    wrong = [invent()[1], f"gw_{known}_{'A' * 43}", gone.text, "x", "", "gw_\xe9", "a b"]
    answers = set()
    with asking(database) as client:
        for text in wrong:
            for headers in (bearer(text), {"x-api-key": text}):
                sent = {name: value.encode("latin-1") for name, value in headers.items()}
                response = ask(client, "score", sent)
                answers.add(problem(response, 401, "key-refused")["detail"])
                challenge = response.headers["www-authenticate"]
                assert challenge == 'Bearer realm="gatewatch", error="invalid_token"'
    assert answers == {"this key is unknown, wrong or revoked"}


def test_an_expired_key_is_told_so_to_its_holder_only(database: Database) -> None:
    """Contract: to whoever has the secret; with a wrong one it is as any unknown key."""
    keys = Keys(database, lambda: now() - timedelta(days=2))
    old = keys.create(BY, "old", Role.ADMIN, expires_at=now() - timedelta(days=1))
    with asking(database) as client:
        told = problem(ask(client, "score", bearer(old.text)), 401, "key-refused")["detail"]
        assert "'old' expired at 20" in told
        wrong = ask(client, "score", bearer(old.text[:-1] + "?"))
        assert "expired" not in problem(wrong, 401, "key-refused")["detail"]


def test_two_different_keys_are_refused(database: Database, texts: dict[str, str]) -> None:
    """Contract: 401 rather than a choice; the same one twice is one."""
    both = [("authorization", f"Bearer {texts['admin']}"), ("x-api-key", texts["score"])]
    twice = [("x-api-key", texts["admin"]), ("x-api-key", texts["score"])]
    same = [("authorization", f"bearer {texts['score']}"), ("x-api-key", texts["score"])]
    with asking(database) as client:
        for headers in (both, twice):
            told = problem(ask(client, "score", headers), 401, "key-refused")["detail"]
            assert "different keys" in told
        assert ask(client, "score", same).json() == "score-1"


def test_a_key_that_asks_too_often_is_429(database: Database, texts: dict[str, str]) -> None:
    """Contract: with the seconds to wait; other keys go on, other routes count as well."""
    with asking(database) as client:
        assert ask(client, "score", bearer(texts["limited"])).status_code == 200
        for role in ("score", "admin"):
            response = ask(client, role, bearer(texts["limited"]))
            problem(response, 429, "too-many-requests")
            assert 30 < int(response.headers["retry-after"]) <= 60
        assert ask(client, "score", bearer(texts["score"])).status_code == 200


def test_one_request_is_counted_once(database: Database) -> None:
    """Law: however many dependencies of a route look at who asks."""
    text = Keys(database).create(BY, "twice", Role.ADMIN, per_minute=2).text
    with asking(database) as client:
        statuses = [ask(client, "admin", bearer(text)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_health_and_versions_answer_anybody(database: Database, texts: dict[str, str]) -> None:
    """Contract: also whoever sends a wrong key; the description too, and nothing else."""
    assert {path for path in guard.OPEN_PATHS if path.startswith("/v1")} == {"/v1/info"}
    with asking(database, host="0.0.0.0") as client:
        for headers in (None, bearer("wrong")):
            assert client.get("/v1/info", headers=headers).status_code == 200
            assert client.get("/openapi.json", headers=headers).status_code == 200
            for near in ("/v1/info/", "/v1/infos", "//v1/info", "/V1/info", "/metrics/x"):
                assert client.get(near, headers=headers).status_code == 401


def test_who_has_no_key_has_no_body_read(
    database: Database, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: 401 before a byte is taken in or looked at; with one, the limit of bodies holds."""
    calls = recorded(monkeypatch, Request, "body")
    with asking(database) as client:
        for sent in ({}, bearer("wrong")):
            assert client.post("/v1/fit", content=b"{" * 20_000, headers=sent).status_code == 401
        assert calls == []
        huge = client.post("/v1/fit", content=b"{" * 20_000, headers=bearer(texts["fit"]))
        problem(huge, 413, "about:blank")
        assert len(calls) == 1


def test_changes_bear_a_name_and_a_reason(database: Database, texts: dict[str, str]) -> None:
    """Contract: the key's name, the reason without what is secret, the request's id."""
    text = texts["admin"]
    with asking(database) as client:
        sent = bearer(text) | {"x-request-id": "r-7"}
        said = client.get("/v1/by", params={"reason": f"too late: {text}"}, headers=sent)
        assert said.json() == ["admin-1", f"too late: {text[:16]}...", "r-7"]
        assert client.get("/v1/by", headers=sent).json() == ["admin-1", "", "r-7"]
        for bad in ("x" * 501, "a\x00b", "a\nb"):
            response = client.get("/v1/by", params={"reason": bad}, headers=sent)
            problem(response, 422, "invalid-request")


def test_the_description_tells_of_keys(database: Database) -> None:
    """Contract: both headers as alternatives on what takes a role; 401, 403 and 429 described."""
    description = small_app(database).openapi()
    schemes = description["components"]["securitySchemes"]
    assert {(s["type"], s.get("scheme") or s["name"]) for s in schemes.values()} == {
        ("http", "bearer"),
        ("apiKey", "X-API-Key"),
    }
    either = [{name: []} for name in schemes]
    for path, methods in description["paths"].items():
        for operation in methods.values():
            closed = path not in guard.OPEN_PATHS
            assert (operation.get("security") == either) == closed
            if closed and path != "/v1/broken":
                assert {"401", "403", "429"} <= operation["responses"].keys()


def test_unreadable_keys_let_nobody_in(
    database: Database, texts: dict[str, str], tmp_path: Path
) -> None:
    """Contract: 503 for all who need a key; health goes on."""
    with asking(database) as client:
        database.close()
        (tmp_path / "gatewatch.sqlite").rename(tmp_path / "elsewhere")
        (tmp_path / "gatewatch.sqlite").mkdir()
        for sent in (None, bearer(texts["admin"])):
            problem(ask(client, "score", sent), 503, "storage-unavailable")
        assert client.get("/v1/info").status_code == 200
