"""Who gets in over HTTP, who does not, and what they are told."""

import asyncio
import itertools
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from http_helpers import problem
from key_helpers import BY, Clock, asking, bearer, one_of_each, opened, recorded, small_app
from starlette.testclient import TestClient

from app.access import guard, identity
from app.access.credentials import Role, invent
from app.errors import KeyRefusedError, KeyRequiredError, UnprotectedError
from app.settings import Settings
from app.storage.database import Database
from app.storage.keys import Keys
from app.storage.tables import now

PATHS = {"score": ("GET", "/v1/score"), "fit": ("POST", "/v1/fit"), "admin": ("GET", "/v1/by")}


def ask(client: TestClient, role: str, headers: Any = None) -> Any:
    """Ask for what takes a role."""
    method, path = PATHS[role]
    body = {"text": "x"} if method == "POST" else None
    return client.request(method, path, json=body, headers=headers)


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


def test_the_first_key_closes_for_good(database: Database) -> None:
    """Contract: open on loopback while there never was a key; revoking all does not reopen it."""
    keys = Keys(database)
    with asking(database) as client:
        assert ask(client, "admin").json()[0] == "local"
        problem(ask(client, "score", bearer(invent()[1])), 401, "key-refused")
        response = client.post("/v1/keys", json={"name": "root", "role": "admin"})
        text = response.json()["key"]
        assert ask(client, "admin", bearer(text)).json()[0] == "root"
        problem(ask(client, "admin"), 401, "key-required")
        keys.revoke(BY, response.json()["id"], force=True)
    for settings in ({}, {"open": True}, {"host": "0.0.0.0", "open": True}, {"host": "0.0.0.0"}):
        with asking(database, **settings) as client:
            problem(ask(client, "score"), 401, "key-required")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "::1", "127.8.9.1"])
def test_loopback_is_open_by_default(database: Database, host: str) -> None:
    """Contract: every address that is this machine's alone."""
    with asking(database, host=host) as client:
        assert ask(client, "admin").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "localhost.example.com"])
def test_other_addresses_need_a_key_or_a_word(database: Database, host: str) -> None:
    """Contract: it does not start, and says what to do; told to be open, it is."""
    with pytest.raises(UnprotectedError, match="GATEWATCH_OPEN=true") as caught:
        guard.install(FastAPI(), Settings(host=host), database)
    assert "gatewatch keys create NAME --role admin" in str(caught.value)
    with asking(database, "http://anything.example", host=host, open=True) as client:
        assert ask(client, "admin").json()[0] == "local"
    Keys(database).create(BY, "root", Role.ADMIN)
    small_app(database, host=host)


@pytest.mark.parametrize(
    ("url", "origin", "trusted"),
    [
        ("http://127.0.0.1:8000", None, True),
        ("http://localhost", "http://localhost", True),
        ("http://[::1]:8000", "http://[::1]:8000", True),
        ("http://rebound.example:8000", None, False),
        ("http://rebound.example:8000", "http://rebound.example:8000", False),
        ("http://127.0.0.1:8000", "http://evil.example", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:9000", False),
        ("http://127.0.0.1:8000", "null", False),
        ("http://127.0.0.1.example", None, False),
    ],
)
def test_pages_in_a_browser_are_not_this_machine(
    database: Database, url: str, origin: str | None, trusted: bool
) -> None:
    """Contract: without keys, a request through a foreign name or site needs one all the same."""
    headers = {} if origin is None else {"origin": origin}
    with asking(database, url) as client:
        response = ask(client, "admin", headers)
        if trusted:
            assert response.status_code == 200
        else:
            assert "localhost" in problem(response, 401, "key-required")["detail"]
    with asking(database, url, host="0.0.0.0", open=True) as client:
        own = origin is None or origin == url
        assert ask(client, "admin", headers).status_code == (200 if own else 401)
    Keys(database).create(BY, "root", Role.ADMIN)
    with asking(database, url) as client:
        told = problem(ask(client, "admin", headers), 401, "key-required")["detail"]
        assert "localhost" not in told


@pytest.mark.parametrize("host", ["[", "[::1", "a:b:c", "\x00", ""])
def test_strange_hosts_are_nobodys(host: str) -> None:
    """Contract: no exception, no trust."""
    assert not identity.is_loopback(identity._name(host))


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


class Counted(Keys):
    """Keys that count how often they are read, and may be held up or out of reach."""

    readings = 0
    error: Exception | None = None

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.gate = threading.Event()
        self.gate.set()

    def snapshot(self) -> Any:
        self.readings += 1
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()  # a reading would hold up every request
        assert self.gate.wait(30)
        if self.error:
            raise self.error
        return super().snapshot()


@pytest.fixture
def counted(database: Database) -> Counted:
    return Counted(database)


def headers(text: str) -> Any:
    return Request({"type": "http", "headers": [(b"x-api-key", text.encode())]}).headers


def test_keys_are_read_once_a_second_at_most(counted: Counted) -> None:
    """Contract: a revoked key ends within a second, and no request reads the database in it."""
    root, made = (counted.create(BY, name, Role.ADMIN) for name in ("root", "one"))
    clock = Clock()

    async def run() -> None:
        guard = identity.Access(counted, "nobody", clock=clock)
        for _ in range(50):
            assert (await guard.identify(headers(made.text))).name == "one"
        assert counted.readings == 1
        counted.revoke(BY, made.key.id)
        clock.s += 0.999
        await guard.identify(headers(made.text))
        assert counted.readings == 1
        clock.s += 0.002
        with pytest.raises(KeyRefusedError):
            await guard.identify(headers(made.text))
        assert (await guard.identify(headers(root.text))).name == "root"

    asyncio.run(run())


def test_a_new_key_opens_at_once(counted: Counted) -> None:
    """Contract: an id not seen yet is looked for anew, without waiting for the second to end."""
    counted.create(BY, "root", Role.ADMIN)

    async def run() -> None:
        guard = identity.Access(counted, "nobody")
        with pytest.raises(KeyRequiredError):
            await guard.identify(Request({"type": "http", "headers": []}).headers)
        for number in range(3):
            text = counted.create(BY, f"new-{number}", Role.SCORE).text
            assert (await guard.identify(headers(text))).name == f"new-{number}"

    asyncio.run(run())


def test_invented_ids_share_few_readings(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: all that come together share one reading, which keeps its distance from the last.

    What is no key's form reads nothing.
    """
    root = counted.create(BY, "root", Role.ADMIN)
    clock = Clock()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(round(seconds, 6))

    async def run() -> None:
        guard = identity.Access(counted, "nobody", clock=clock)
        await guard.identify(headers(root.text))
        monkeypatch.setattr(asyncio, "sleep", pause)
        for batch in range(3):
            clock.s += 0.01
            tries = (guard.identify(headers(invent()[1])) for _ in range(100))
            for outcome in await asyncio.gather(*tries, return_exceptions=True):
                assert isinstance(outcome, KeyRefusedError)
            assert counted.readings == 2 + batch
        assert pauses == [identity.PAUSE_S - 0.01] * 3
        for text in ("nonsense", "", "gw_0123", root.text[:-1]):
            with pytest.raises(KeyRefusedError):
                await guard.identify(headers(text))
        assert counted.readings == 4

    asyncio.run(run())


def test_who_waits_together_reads_together(counted: Counted) -> None:
    """Law: one reading for all, of which one may go away meanwhile; a failure is everybody's."""
    text = counted.create(BY, "root", Role.ADMIN).text

    async def together(guard: identity.Access) -> list[Any]:
        """Let twenty wait for one reading, and the first of them go away."""
        before = counted.readings
        counted.gate.clear()
        tasks = [asyncio.create_task(guard.identify(headers(text))) for _ in range(20)]
        while counted.readings == before:
            await asyncio.sleep(0.001)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        counted.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert counted.readings == before + 1
        return outcomes[1:]

    async def run() -> None:
        guard = identity.Access(counted, "nobody")
        assert [one.name for one in await together(guard)] == ["root"] * 19
        guard = identity.Access(counted, "nobody")
        counted.error = KeyError("lost")
        assert [type(one) for one in await together(guard)] == [KeyError] * 19
        counted.error = None
        assert (await guard.identify(headers(text))).name == "root"

    asyncio.run(run())


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


def test_secrets_stay_secret(
    database: Database, texts: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: whatever goes wrong with a key, no log, answer, audit or file repeats its secret.

    It is sent where it belongs and where it does not: paths, ids, names, reasons, bodies.
    """
    text = texts["admin"]
    secret, sent = text[16:], bearer(text)
    caplog.set_level(logging.DEBUG)
    with asking(database) as client:
        answers = [
            client.get("/v1/broken", headers=sent),
            client.get("/v1/score", headers=sent | {"x-request-id": text}),
            client.get("/v1/score", headers={"authorization": f"Basic {text}"}),
            client.get("/v1/score", headers=bearer(text + "x")),
            client.get("/v1/score", headers=bearer(f"{text}, {text}")),
            client.get("/v1/score", headers=sent | {"x-api-key": texts["score"]}),
            client.get(f"/v1/{text}", headers=sent),
            client.get("/v1/score", params={"key": text}),
            client.get("/v1/by", params={"reason": f"because {text}"}, headers=sent),
            client.get("/v1/audit", params={"after": text}, headers=sent),
            client.delete(f"/v1/keys/{text}", headers=sent),
            client.delete(f"/v1/keys/{text[:15]}", headers=sent),
            client.patch("/v1/keys", headers=sent),
            client.post("/v1/fit", content=text.encode(), headers=sent),
            client.post("/v1/fit", json={"text": [text]}, headers=sent),
            client.post("/v1/keys", json={"name": "x", "role": text}, headers=sent),
            client.post("/v1/keys", json={"name": text, "role": "fit"}, headers=sent),
            client.post("/v1/keys", json={"name": "fit-1", "role": "fit"}, headers=sent),
            client.post(
                "/v1/keys",
                json={"name": "new", "role": "fit"},
                params={"reason": text},
                headers=sent,
            ),
            *(ask(client, "score", bearer(texts["limited"])) for _ in range(2)),
            ask(client, "admin", bearer(texts["score"])),
            client.get("/v1/keys", headers=sent),
            client.get("/v1/audit", headers=sent),
        ]
    assert {401, 403, 404, 405, 409, 422, 429, 500} <= {one.status_code for one in answers}
    said = "\n".join(f"{one.status_code} {one.headers} {one.text}" for one in answers)
    logged = "\n".join(
        logging.Formatter("%(name)s %(message)s").format(record) + repr(vars(record))
        for record in caplog.records
        if not record.name.startswith("httpx")  # the client of the test
    )
    assert "/v1/score" in logged
    assert "RuntimeError: broken" in logged
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for word in (secret, texts["limited"][16:], texts["score"][16:]):
        assert word not in said
        assert word not in logged
        assert word.encode() not in kept
    for key in Keys(database).all():
        assert key.sha256 not in said
        assert key.sha256 not in logged
