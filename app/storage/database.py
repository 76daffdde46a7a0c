"""The database: SQLite in a file, or PostgreSQL; one statement serves both.

A change runs in one transaction. On SQLite it takes the only writer's place at its beginning, so
that what it has read is still true when it writes; on PostgreSQL a change locks the rows it builds
on (``SELECT ... FOR UPDATE``, which SQLite leaves out).
"""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import (
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.errors import StorageError, StorageUnavailableError

SQLITE = "gatewatch.sqlite"
"""File of the database in the data directory, where no other one is named."""
BUSY_S = 30
"""How long a writer waits for another one."""
CONNECT_S = 10
"""How long a PostgreSQL server may take to answer at all, unless the URL says otherwise."""
_WRITES = "gatewatch_writes"
_READ_ONLY = "25006"
_MIGRATIONS_LOCK = 0x67617465  # any number of our own: "gate"
_FIRST_RELEASE = (
    "the database was made by gatewatch 0.1, whose detectors cannot be taken over: choose another "
    "GATEWATCH_DATA_DIR, create the detectors and fit them anew"
)
_FOREIGN = "the database holds tables of another program: give gatewatch one of its own"
_SCRIPTS = Path(__file__).with_name("migrations")


class Database:
    """Connections for reading, transactions for changing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changing = engine.execution_options(**{_WRITES: True})
        self.is_shared = engine.dialect.name != "sqlite"
        """Whether other machines may use it too."""
        self.detector_writes = 0
        """What may have changed what is known of detectors, committed or not.

        A commit may be heard of no more and have been made.
        """
        self._counting = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection to read from.

        Raises:
            StorageUnavailableError: if the database cannot be reached.
        """
        with _reachable(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, of_detectors: bool = True) -> Iterator[Connection]:
        """Give a transaction, committed at the end and undone by an exception.

        Args:
            of_detectors: whether it may change a detector or a version. Notes of what was scored
                and of how jobs stand, of which there are many, do not.

        Raises:
            StorageUnavailableError: if the database cannot be reached.
        """
        try:
            with _reachable(), self._changing.begin() as connection:
                yield connection
        finally:
            with self._counting:
                self.detector_writes += of_detectors

    def close(self) -> None:
        """Release all connections."""
        self._engine.dispose()


def open_database(url: str | None, directory: Path) -> Database:
    """Open a database by URL, or the SQLite file in ``directory``, and bring it up to date.

    Raises:
        StorageError: if the URL is no database's, the driver is missing, or the database was
            written by another program or a newer version of this one.
        StorageUnavailableError: if it cannot be reached.
    """
    engine = _postgres(url) if url else _sqlite(directory / SQLITE)
    try:
        with _reachable():
            _migrate(engine, directory)
    except BaseException as error:
        engine.dispose()
        if isinstance(error, DBAPIError):
            raise StorageError(f"this cannot be used as our database: {error.orig}") from error
        raise
    return Database(engine)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        is_away = isinstance(error, OperationalError | InterfaceError)
        if not (is_away or error.connection_invalidated):
            raise
        # The driver's first line names host and cause; SQLAlchemy's own would add the statement.
        cause = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason"
        raise StorageUnavailableError(f"the database cannot be used: {cause}") from error
    except PoolTimeoutError as error:
        raise StorageUnavailableError(
            "the database cannot be used: all connections of this process are busy"
        ) from error


def _postgres(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "postgresql":
            raise StorageError(
                f"no database of kind {parsed.drivername!r}: give postgresql://..., or none for "
                "SQLite in the data directory"
            )
        query = {"connect_timeout": str(CONNECT_S), **parsed.query}
        parsed = parsed.set(drivername="postgresql+psycopg", query=query)
        # Parameters in a log line could be a key's digest, or a client's words.
        engine = create_engine(parsed, pool_pre_ping=True, pool_size=10, hide_parameters=True)
    except ArgumentError as error:
        # The text may hold a password: it is not repeated.
        raise StorageError("the database URL cannot be read: postgresql://USER:...") from error
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise StorageError("PostgreSQL needs a driver: pip install 'gatewatch[cluster]'") from error

    @event.listens_for(engine, "handle_error")
    def _look(context: ExceptionContext) -> None:
        # After a failover old connections answer, but only reads: new ones find the new server.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True

    return engine


def _sqlite(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_S}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged change survives power loss
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Else two changes that have both read would wait for each other, and one would fail.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _migrate(engine: Engine, directory: Path) -> None:
    """Bring the tables up to date; one process at a time, the others wait."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    if engine.dialect.name == "sqlite":
        with (directory / "setup.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _upgrade(engine, config)
    else:
        with engine.connect() as waiting:  # a connection of its own holds the lock
            waiting.execute(text(f"SELECT pg_advisory_lock({_MIGRATIONS_LOCK})"))
            try:
                _upgrade(engine, config)
            finally:
                waiting.execute(text(f"SELECT pg_advisory_unlock({_MIGRATIONS_LOCK})"))


def _upgrade(engine: Engine, config: Config) -> None:
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        known = set(inspect(connection).get_table_names())
        if known and "alembic_version" not in known:
            raise StorageError(_FOREIGN if "detectors" not in known else _FIRST_RELEASE)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StorageError(
                f"the database was written by a newer gatewatch than this one ({error})"
            ) from error
