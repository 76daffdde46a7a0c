"""The audit over HTTP: every change, in order, page by page, for administrators."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_helpers import problem, strict
from key_helpers import BY, asking, bearer, opened
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from app.access.credentials import Role, invent
from app.storage.audit import Audit, By, record
from app.storage.database import Database
from app.storage.keys import Keys

PLACES = 7
"""How many changes of a detector the audit holds."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database whose audit begins with changes of two detectors, one of them in between."""
    with opened(tmp_path) as database:
        for place in range(PLACES):
            with database.write() as connection:
                who = By(f"who-{place}", "", f"request-{place}")
                subject = "bolts" if place % 3 else "nuts"
                before, after = {"version": place}, {"version": place + 1, "of": [1, None]}
                record(connection, who, "promote", subject, before=before, after=after)
        yield database


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with asking(database) as client:
        yield client


def pages(client: TestClient, **query: Any) -> list[list[dict[str, Any]]]:
    """Read page by page until there is no next."""
    found, after = [], 0
    while after is not None:
        page = strict(client.get("/v1/audit", params=query | {"after": after}))
        found.append(page["lines"])
        after = page["next"]
    return found


def test_a_line_tells_who_what_when_and_why(client: TestClient) -> None:
    """Contract: as it was recorded, with what was and what is."""
    (first, *_) = pages(client)[0]
    assert first.pop("at").endswith(("Z", "+00:00"))
    assert first == {
        "sequence": 1,
        "who": "who-0",
        "action": "promote",
        "subject": "nuts",
        "before": {"version": 0},
        "after": {"version": 1, "of": [1, None]},
        "reason": "",
        "request_id": "request-0",
    }


@pytest.mark.parametrize("limit", [1, 2, 3, PLACES - 1, PLACES, PLACES + 1, 1000])
def test_pages_are_the_whole(client: TestClient, limit: int) -> None:
    """Law: of any size, in order, none twice and none missing; no empty end."""
    (whole,) = pages(client)
    parts = pages(client, limit=limit)
    assert [line for part in parts for line in part] == whole
    assert [line["sequence"] for line in whole] == list(range(1, PLACES + 1))
    assert all(parts)
    assert {len(part) for part in parts[:-1]} <= {limit}


def read(client: TestClient, **query: Any) -> tuple[list[int], int | None]:
    """Return the numbers of a page, and what to read on with."""
    page = strict(client.get("/v1/audit", params=query))
    return [line["sequence"] for line in page["lines"]], page["next"]


def test_the_newest_come_first_when_asked(client: TestClient) -> None:
    """Law: the same lines the other way round; ``next`` is the ``before`` to read on with."""
    assert read(client, order="newest", limit=PLACES) == ([*range(PLACES, 0, -1)], None)
    for limit in range(1, PLACES + 2):
        found, before = read(client, order="newest", limit=limit)
        assert found == [*range(PLACES, 0, -1)][:limit]
        while before is not None:
            assert before == found[-1]
            more, before = read(client, order="newest", limit=limit, before=before)
            assert 0 < len(more) <= limit
            found += more
        assert found == [*range(PLACES, 0, -1)]
    assert read(client, order="newest", subject="nuts", limit=2) == ([7, 4], 4)
    assert read(client, order="newest", subject="nuts", before=4) == ([1], None)


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_after_and_before_are_a_range(client: TestClient, order: str) -> None:
    """Law: what lies between, both ends left out, whichever comes first; page by page too."""
    turn = -1 if order == "newest" else 1
    for after in range(PLACES + 2):
        for before in range(PLACES + 2):
            fit = [*range(1, PLACES + 1)][after : max(after, before - 1)][::turn]
            assert read(client, order=order, after=after, before=before) == (fit, None)
            first, cursor = read(client, order=order, after=after, before=before, limit=2)
            assert first == fit[:2]
            assert cursor == (fit[1] if len(fit) > 2 else None)


def test_one_subject_is_read_alone(client: TestClient) -> None:
    """Law: its lines are those of the whole, page by page too; an unknown one has none."""
    (whole,) = pages(client)
    expected = [line for line in whole if line["subject"] == "nuts"]
    assert len(expected) == 3
    assert [line for part in pages(client, subject="nuts", limit=2) for line in part] == expected
    assert pages(client, subject="screws") == [[]]


def test_reading_on_finds_what_came_since(client: TestClient, database: Database) -> None:
    """Contract: the last sequence number is where to go on."""
    (whole,) = pages(client)
    last = whole[-1]["sequence"]
    assert strict(client.get("/v1/audit", params={"after": last})) == {"lines": [], "next": None}
    made = strict(client.post("/v1/keys", json={"name": "root", "role": "admin"}))
    sent = bearer(made["key"])
    page = strict(client.get("/v1/audit", params={"after": last}, headers=sent))
    (line,) = page["lines"]
    assert (line["who"], line["action"], line["subject"]) == ("local", "create key", made["id"])


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"after": -1},
        {"after": 2**63},
        {"before": -1},
        {"before": 2**63},
        {"before": "soon"},
        {"order": "random"},
        {"subject": "a\x00b"},
        {"subject": "x" * 201},
    ],
)
def test_bad_questions_are_refused(client: TestClient, query: dict[str, Any]) -> None:
    """Contract: 422, never the database's own failure."""
    problem(client.get("/v1/audit", params=query), 422, "invalid-request")


def test_the_largest_sequence_number_may_be_asked_for(client: TestClient) -> None:
    """Contract: nothing lies beyond it, and all below."""
    page = strict(client.get("/v1/audit", params={"after": 2**63 - 1}))
    assert page == {"lines": [], "next": None}
    assert len(read(client, before=2**63 - 1)[0]) == PLACES


def test_administrators_read_it(database: Database) -> None:
    """Contract: other roles are 403."""
    keys = Keys(database)
    texts = {role: keys.create(BY, role, role).text for role in reversed(Role)}
    with asking(database) as client:
        for role, text in texts.items():
            response = client.get("/v1/audit", headers=bearer(text))
            if role == Role.ADMIN:
                assert response.status_code == 200
            else:
                problem(response, 403, "role-too-low")


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "UPDATE audit SET who = 'x'"])
def test_lines_are_only_added(database: Database, statement: str) -> None:
    """Contract: the database itself refuses the rest; no route offers it."""
    before = Audit(database).lines()
    with pytest.raises(DBAPIError, match="only ever added"), database.write() as connection:
        connection.execute(sql(statement))
    assert Audit(database).lines() == before


def test_no_secret_is_kept_wherever_it_stands(database: Database) -> None:
    """Contract: in what was, in what is, at any depth, and in the reason."""
    text = invent()[1]
    said = {"note": f"key {text}", "many": [text, {"deep": (text, 1, None)}], text: True}
    with database.write() as connection:
        record(connection, By("who", text), "review", "bolts", before=said, after=said)
    line = Audit(database).lines(after=PLACES)[0]
    public = f"{text[:16]}..."
    expected = {"note": f"key {public}", "many": [public, {"deep": [public, 1, None]}]}
    assert line.before == line.after == expected | {public: True}
    assert line.reason == public
