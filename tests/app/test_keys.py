"""API keys at rest, on SQLite and on PostgreSQL: what is kept, what is refused, who administers."""

import hmac
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from key_helpers import BY, NOON, Clock, opened, recorded
from sqlalchemy import select
from storage_helpers import at_once

from app.access.credentials import Role, Snapshot, invent, without_secrets
from app.errors import (
    InvalidKeySpecError,
    KeyExistsError,
    NoAdminKeyError,
    TooManyKeysError,
    UnknownKeyError,
)
from app.storage import keys as stored
from app.storage.audit import Audit
from app.storage.columns import METADATA
from app.storage.database import Database
from app.storage.keys import Keys


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with opened(tmp_path, url) as database:
        yield database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: Database, clock: Clock) -> Keys:
    return Keys(database, clock.moment)


def everything(database: Database) -> str:
    """Return what all tables hold, as text."""
    with database.read() as connection:
        return "\n".join(
            str(list(connection.execute(select(table)))) for table in METADATA.sorted_tables
        )


def test_a_key_opens_with_its_own_secret_only(keys: Keys) -> None:
    """Contract: form of the text; wrong, cut, swapped and strange ones are no key's."""
    made, other = (keys.create(BY, name, Role.ADMIN) for name in ("one", "two"))
    assert re.fullmatch(r"gw_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", made.text)
    snapshot = keys.snapshot()
    assert snapshot.match(made.text) == made.key
    secret, others = made.text[16:], other.text[16:]
    wrong = [
        made.text[:-1],
        made.text + "A",
        made.text.upper(),
        f" {made.text}",
        f"{made.text}\n",
        f"gw_{made.key.id}_{others}",
        f"gw_{'0' * 12}_{secret}",
        f"gw_{made.key.id}_{made.key.sha256[:43]}",
        secret,
        made.key.id,
        made.key.sha256,
        "",
        "gw__",
        "é\x00",
    ]
    assert [snapshot.match(text) for text in wrong] == [None] * len(wrong)


def test_secrets_are_random_and_long() -> None:
    """Contract: 32 bytes of the system's own randomness; ids and secrets do not repeat."""
    parts = [invent() for _ in range(200)]
    assert len({key_id for key_id, _, _ in parts}) == 200
    assert len({text[16:] for _, text, _ in parts}) == 200
    assert len(secrets.token_urlsafe(32)) == len(parts[0][1][16:]) == 43


def test_every_try_costs_one_comparison(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: known or unknown, well-formed or not: one call of compare_digest, equal lengths."""
    made = keys.create(BY, "one", Role.ADMIN)
    snapshot = keys.snapshot()
    calls = recorded(monkeypatch, hmac, "compare_digest")
    tries = [made.text, invent()[1], f"gw_{made.key.id}_{'A' * 43}", "nonsense", ""]
    for number, text in enumerate(tries, 1):
        snapshot.match(text)
        assert len(calls) == number
    assert {len(digest) for pair in calls for digest in pair} == {64}


def test_neither_secret_nor_text_is_kept(
    keys: Keys, database: Database, tmp_path: Path, clock: Clock
) -> None:
    """Contract: not in any table, not in any byte of the files; the hash only beside the key."""
    made = keys.create(BY, "one", Role.ADMIN, expires_at=clock.moment() + timedelta(days=1))
    keys.revoke(BY, made.key.id, force=True)
    held = everything(database)
    assert made.key.id in held
    assert made.text[16:] not in held
    assert held.count(made.key.sha256) == 1
    assert made.key.sha256 not in str(Audit(database).lines())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or made.text[16:].encode() not in path.read_bytes()


def test_what_is_printed_holds_no_secret(keys: Keys) -> None:
    """Contract: repr and str of a key, new or old, in an exception or in a log."""
    made = keys.create(BY, "one", Role.ADMIN)
    for value in (made, made.key, keys.snapshot(), keys.all()):
        for text in (repr(value), str(value), f"{value}"):
            assert made.text[16:] not in text
            assert made.key.sha256 not in text
    assert "one" in repr(made)


def test_traces_of_keys_are_removed_from_text() -> None:
    """Contract: whole or cut, any number of them; ids and other words stay."""
    key_id, text, _ = invent()
    secret = text[16:]
    for cut in (secret, secret[:20], secret + "xyz"):
        clean = without_secrets(f"a gw_{key_id}_{cut}, b gw_{key_id}_{cut}")
        assert clean == f"a gw_{key_id}_..., b gw_{key_id}_..."
    for harmless in ("gw_", "gw_lane_3", "gateway", f"key {key_id}"):
        assert without_secrets(harmless) == harmless


def test_roles_include_those_below() -> None:
    """Contract: score < fit < admin."""
    includes = {(a.value, b.value) for a in Role for b in Role if a.includes(b)}
    below = {("fit", "score"), ("admin", "score"), ("admin", "fit")}
    assert includes == below | {(role.value, role.value) for role in Role}


def test_a_name_is_given_once(keys: Keys) -> None:
    """Contract: not again after revocation either; the refusal shows no hash, nor does its cause.

    For the audit names keys, and one name must stay one key.
    """
    made = keys.create(BY, "one", Role.ADMIN)
    keys.create(BY, "two", Role.ADMIN)
    for _ in range(2):
        with pytest.raises(KeyExistsError, match="'one'") as caught:
            keys.create(BY, "one", Role.FIT)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        keys.revoke(BY, made.key.id)
    assert sorted(key.name for key in keys.all()) == ["one", "two"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "does not match"),
        ({"name": "a b"}, "does not match"),
        ({"name": "a\n"}, "does not match"),
        ({"name": "a" * 64}, "does not match"),
        ({"name": "local"}, "'local'"),
        ({"name": "gw_0123456789ab_secret"}, "no name"),
        ({"per_minute": 0}, "requests a minute"),
        ({"per_minute": 1_000_001}, "requests a minute"),
        ({"expires_at": NOON}, "lie ahead"),
        ({"expires_at": NOON - timedelta(days=1)}, "lie ahead"),
        ({"expires_at": NOON + timedelta(days=4000)}, "ten years"),
        ({"expires_at": datetime(2031, 1, 1)}, "time zone"),
    ],
)
def test_terms_that_cannot_be_are_refused(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    """Contract: in words that say what could be; nothing is made, and no secret is repeated."""
    with opened(tmp_path) as database:
        keys = Keys(database, lambda: NOON)
        with pytest.raises(InvalidKeySpecError, match=message) as caught:
            keys.create(BY, **({"name": "one", "role": Role.ADMIN} | changed))
        assert "secret" not in str(caught.value)
        assert not keys.snapshot().ever
        assert Audit(database).lines() == []


def test_keys_are_bounded(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: those not revoked; revoking one makes room."""
    monkeypatch.setattr(stored, "MOST_KEYS", 2)
    made = [keys.create(BY, name, Role.ADMIN) for name in ("one", "two")]
    with pytest.raises(TooManyKeysError, match="revoke"):
        keys.create(BY, "three", Role.ADMIN)
    keys.revoke(BY, made[0].key.id)
    keys.create(BY, "three", Role.ADMIN)


def test_keys_expire_at_their_moment(keys: Keys, clock: Clock) -> None:
    """Law: usable before, expired from then on; one without expiry never is."""
    ends = clock.moment() + timedelta(seconds=10)
    brief = keys.create(BY, "brief", Role.ADMIN, expires_at=ends).key
    lasting = keys.create(BY, "lasting", Role.ADMIN).key
    assert {key.name: key.expires_at for key in keys.all()} == {"brief": ends, "lasting": None}
    for moment, state in ((ends - timedelta(microseconds=1), "usable"), (ends, "expired")):
        assert brief.state(moment) == state
        assert lasting.state(moment + timedelta(days=999)) == "usable"


def test_revocation_is_for_good_and_told_once(keys: Keys, database: Database, clock: Clock) -> None:
    """Contract: again changes nothing, the moment and the audit included; unknown ids are told."""
    keys.create(BY, "root", Role.ADMIN)
    clock.s += 1
    made = keys.create(BY, "one", Role.SCORE)
    assert keys.snapshot().match(made.text)
    keys.revoke(BY, made.key.id)
    before = (keys.all(), Audit(database).lines())
    clock.s += 60
    keys.revoke(BY, made.key.id)
    assert (keys.all(), Audit(database).lines()) == before
    (root, one) = keys.all()
    assert (root.state(NOON), one.state(NOON)) == ("usable", "revoked")
    assert one.revoked_at == made.key.created_at == NOON + timedelta(seconds=1)
    assert keys.snapshot().match(made.text) is None
    with pytest.raises(UnknownKeyError, match="0123"):
        keys.revoke(BY, "0123456789ab")


def test_every_change_is_in_the_audit(keys: Keys, database: Database) -> None:
    """Contract: who, what, why, in which request; nothing that opens anything."""
    one = keys.create(BY, "one", Role.ADMIN, per_minute=9).key
    keys.create(BY, "two", Role.ADMIN)
    keys.revoke(BY, one.id)
    made, _, revoked = Audit(database).lines()
    for line in (made, revoked):
        told = (line.who, line.reason, line.request_id, line.subject)
        assert told == ("tester", "because", "request-1", one.id)
    terms = {"name": "one", "role": "admin", "per_minute": 9, "expires_at": None}
    assert (made.action, made.before, made.after) == ("create key", {}, terms)
    assert (revoked.action, revoked.after) == ("revoke key", {"revoked": True})
    assert revoked.before == {"name": "one", "role": "admin", "revoked": False}


def test_change_and_audit_are_one(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: where the line cannot be written, nothing is changed."""
    made = keys.create(BY, "one", Role.ADMIN)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no line")

    monkeypatch.setattr(stored, "record", fail)
    before = keys.all()
    for change in (
        partial(keys.create, BY, "two", Role.ADMIN),
        partial(keys.revoke, BY, made.key.id, force=True),
    ):
        with pytest.raises(RuntimeError, match="no line"):
            change()
        assert keys.all() == before


def test_there_is_an_admin_key_wherever_there_are_keys(keys: Keys, clock: Clock) -> None:
    """Contract: unless forced; one that has expired is no admin, and may go freely."""
    with pytest.raises(NoAdminKeyError, match="--role admin"):
        keys.create(BY, "camera", Role.SCORE)
    assert not keys.snapshot().ever
    soon = clock.moment() + timedelta(hours=1)
    brief = keys.create(BY, "brief", Role.ADMIN, expires_at=soon).key
    camera = keys.create(BY, "camera", Role.SCORE).key
    with pytest.raises(NoAdminKeyError, match="force"):
        keys.revoke(BY, brief.id)
    clock.s += 3600
    keys.revoke(BY, brief.id)
    with pytest.raises(NoAdminKeyError):
        keys.create(BY, "fitter", Role.FIT)
    keys.create(BY, "fitter", Role.FIT, force=True)
    keys.revoke(BY, camera.id)
    root = keys.create(BY, "root", Role.ADMIN).key
    keys.revoke(BY, root.id, force=True)
    assert [key.name for key in keys.snapshot().by_id.values()] == ["fitter"]


def test_of_two_who_revoke_the_last_two_admins_one_is_refused(keys: Keys) -> None:
    """Law: however they meet, one admin key is left."""
    for turn in range(5):
        for key in keys.snapshot().by_id.values():
            keys.revoke(BY, key.id, force=True)
        made = [keys.create(BY, f"admin-{turn}-{place}", Role.ADMIN).key for place in (1, 2)]
        outcomes = at_once([partial(keys.revoke, BY, key.id) for key in made])
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [
            "NoAdminKeyError",
            "NoneType",
        ]
        assert len(keys.snapshot().by_id) == 1


def test_that_there_ever_was_a_key_is_not_forgotten(keys: Keys) -> None:
    """Contract: for it closes the service; a snapshot holds no revoked key."""
    assert keys.snapshot() == Snapshot({}, ever=False)
    made = keys.create(BY, "one", Role.ADMIN)
    assert keys.snapshot() == Snapshot({made.key.id: made.key}, ever=True)
    keys.revoke(BY, made.key.id, force=True)
    assert keys.snapshot() == Snapshot({}, ever=True)
