"""What goes wrong with a key tells nobody its secret."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from key_helpers import ask, asking, bearer, one_of_each, opened

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
