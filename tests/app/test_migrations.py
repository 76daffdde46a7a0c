"""The database's tables: made once, alike on both databases, never taken for those of others."""

import importlib
import io
import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, inspect, text
from storage_helpers import BY, Place, at_once, detector

from app.errors import StorageError
from app.storage import Storage
from app.storage.columns import METADATA


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    return list(found)


def test_migrations_make_the_tables_of_the_program(place: Place) -> None:
    """Law: nothing is left to be changed, and the comparison would see what is."""
    with place.opened() as storage:
        with storage.database.write() as connection:
            assert set(inspect(connection).get_table_names()) == {
                "alembic_version",
                *METADATA.tables,
            }
            assert differences(connection) == []
        with storage.database.write() as connection:
            connection.execute(text("ALTER TABLE reviews ADD COLUMN mood VARCHAR(9)"))
            assert len(differences(connection)) == 1


def test_indexes_hold_only_where_they_should(place: Place) -> None:
    """Contract: the partial index is partial, so that ended jobs may be many."""
    with place.opened() as storage, storage.database.read() as connection:
        (running,) = (
            index
            for index in inspect(connection).get_indexes("jobs")
            if index["name"] == "jobs_running"
        )
        assert running["unique"]
        conditions = [
            str(value) for key, value in running["dialect_options"].items() if "where" in key
        ]
        assert len(conditions) == 1
        assert "running" in conditions[0]


def test_readers_are_locked_out_last() -> None:
    """Law: in PostgreSQL a dropped index bars all from its table until the transaction's end."""
    said = io.StringIO()
    options = {"as_sql": True, "output_buffer": said}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    module = importlib.import_module("app.storage.migrations.versions.0005_counted_to_review")
    with Operations.context(context):
        module.upgrade()
    statements = [each.split()[:2] for each in said.getvalue().split(";") if each.strip()]
    assert statements == [["CREATE", "INDEX"], ["DROP", "INDEX"]]


def test_first_start_of_several_at_once(place: Place) -> None:
    """Contract: services that start together on a new database all start."""
    opened = at_once([place.open] * 6)
    assert [type(storage) for storage in opened] == [Storage] * 6
    opened[0].versions.create(detector(), BY)
    for storage in opened:
        assert [entry.name for entry in storage.versions.all()] == ["bolts"]
        storage.close()


def names_in(place: Place) -> list[str]:
    """Open it in a process of one's own."""
    with place.opened() as storage:
        return [entry.name for entry in storage.versions.all()]


@pytest.mark.slow
def test_first_start_of_two_processes(place: Place) -> None:
    """Contract: neither sees the other's half-made tables."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as processes:
        waiting = [processes.submit(names_in, place) for _ in range(2)]
        assert [process.result(timeout=120) for process in waiting] == [[], []]


def test_a_database_of_a_newer_program_is_refused(place: Place) -> None:
    """Contract: in words, and it stays as it is."""
    with place.opened() as storage, storage.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for _ in range(2):
        with pytest.raises(StorageError, match="newer gatewatch"):
            place.open()


OLD = """
CREATE TABLE detectors (
    name VARCHAR(63) PRIMARY KEY, version INTEGER NOT NULL, artefact VARCHAR NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL
)
"""


def test_the_layout_of_the_first_release_is_refused(tmp_path: Path) -> None:
    """Contract: what to do is said; the old database stays as it is."""
    path = tmp_path / "gatewatch.sqlite"
    with sqlite3.connect(path) as old:
        old.execute(OLD)
    old.close()
    with pytest.raises(StorageError, match=r"gatewatch 0\.1.* choose another GATEWATCH_DATA_DIR"):
        Storage.open(tmp_path)
    with sqlite3.connect(path) as kept:
        tables = [
            name for (name,) in kept.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
    kept.close()
    assert tables == ["detectors"]


def test_a_database_of_another_program_is_refused(place: Place, tmp_path: Path) -> None:
    """Contract: none of its tables is taken for one of ours."""
    with place.opened() as storage, storage.database.write() as connection:
        for table in ("alembic_version", *reversed([t.name for t in METADATA.sorted_tables])):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("CREATE TABLE keys (mine INTEGER)"))
    with pytest.raises(StorageError):
        place.open()


@pytest.mark.parametrize("name", ["gatewatch.sqlite", "data/gatewatch.sqlite"])
def test_what_is_no_database_is_refused(tmp_path: Path, name: str) -> None:
    """Contract: a file that is something else is named as a cause, not overwritten."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError):
        Storage.open(path.parent)
    assert path.read_bytes() == b"not a database" * 100
