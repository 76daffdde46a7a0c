"""The PostgreSQL of the tests is one, and has the locks that storage is built on."""

import pytest
from postgres_server import Postgres
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool


def test_it_is_a_postgresql_of_our_time(postgres_url: str) -> None:
    """Contract: the server says what it is."""
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version()")).startswith("PostgreSQL 18.")


def test_a_locked_row_is_skipped_by_another_connection(postgres_url: str) -> None:
    """Contract: FOR UPDATE SKIP LOCKED gives two connections different rows."""
    claim = text("SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE jobs (id int)"))
        connection.execute(text("INSERT INTO jobs VALUES (1), (2)"))
    with engine.begin() as one, engine.begin() as other, engine.begin() as third:
        assert [c.scalar(claim) for c in (one, other, third)] == [1, 2, None]


def test_an_advisory_lock_has_one_holder_and_ends_with_its_transaction(postgres_url: str) -> None:
    """Contract: pg_try_advisory_xact_lock."""
    lock = text("SELECT pg_try_advisory_xact_lock(5)")
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.connect() as other:
        with engine.begin() as one:
            assert one.scalar(lock)
            assert not other.scalar(lock)
        assert other.scalar(lock)


def test_every_test_has_a_database_of_its_own(postgres: Postgres) -> None:
    """Law: what one test made another does not see, and it is gone with its connections after."""
    with postgres.database() as one, postgres.database() as other:
        engine = create_engine(one)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE here (id int)"))
        with create_engine(other, poolclass=NullPool).connect() as connection:
            assert connection.scalar(text("SELECT to_regclass('here')")) is None
    with pytest.raises(OperationalError, match=r"does not exist|terminating connection"):
        engine.connect().execute(text("SELECT 1"))
    engine.dispose()
