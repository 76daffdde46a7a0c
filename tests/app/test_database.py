"""The database's connections: what fails is told as such, and starting is quiet."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from key_helpers import BY, opened
from sqlalchemy import make_url, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.errors import StorageUnavailableError
from app.storage.audit import Audit, record
from app.storage.database import CONNECT_S, Database


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_pool_that_is_used_up_is_unavailable(way: str, tmp_path: Path) -> None:
    """Contract: to be repeated later, as any database that cannot be used; no server error."""
    with opened(tmp_path) as database:

        def used_up(*_: object, **__: object) -> None:
            raise PoolTimeoutError("QueuePool limit reached")

        engine = database._engine
        engine.pool.connect = used_up  # type: ignore[method-assign, assignment]
        with (
            pytest.raises(StorageUnavailableError, match="all connections of this process"),
            getattr(database, way)(),
        ):
            pass


def test_a_server_is_not_waited_for_for_ever(postgres_url: str, tmp_path: Path) -> None:
    """Contract: as long as we say, or as the URL says."""
    longer = make_url(postgres_url).update_query_dict({"connect_timeout": "33"})
    for url, expected in (
        (postgres_url, str(CONNECT_S)),
        (longer.render_as_string(hide_password=False), "33"),
    ):
        with opened(tmp_path, url) as database, database.read() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            assert driver.info.get_parameters()["connect_timeout"] == expected


def test_starting_is_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Contract: what Alembic does at every start is no news."""
    caplog.set_level(logging.INFO)
    for _ in range(2):
        with opened(tmp_path):
            pass
    assert [each for each in caplog.records if each.name.startswith("alembic")] == []


def waits(database: Database) -> bool:
    """Return whether a transaction waits for another's advisory lock."""
    with database.read() as connection:
        found = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool(connection.scalar(text(found)))


def test_no_line_of_the_audit_comes_late(postgres_url: str, tmp_path: Path) -> None:
    """Law: a later number is never seen before an earlier one, however changes overlap."""
    with opened(tmp_path, postgres_url) as database, ThreadPoolExecutor(1) as pool:

        def second() -> None:
            with database.write() as connection:
                record(connection, BY, "change", "second")

        with database.write() as connection:
            record(connection, BY, "change", "first")
            later = pool.submit(second)
            while not waits(database) and not later.done():
                threading.Event().wait(0.01)
            assert Audit(database).lines() == []
        later.result(30)
        lines = Audit(database).lines()
        assert [line.subject for line in lines] == ["first", "second"]
        assert lines[0].sequence < lines[1].sequence
