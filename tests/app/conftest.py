"""What tests of the service share: series of their own, an environment without settings."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_server import BUCKET, bucket_server
from http_helpers import Pixels, encode
from postgres_server import Postgres, postgres_server
from storage_helpers import KINDS, Place, place_of

from app.settings import PREFIX
from app.storage import Storage
from app.telemetry import Telemetry


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the settings be those of the test, whatever the shell that runs it has exported."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    # An engine that is exported anew in every test's folder would take most of the time.
    monkeypatch.setenv(f"{PREFIX}ENGINE", "torch")


@pytest.fixture(scope="session")
def pngs(texture: list[Pixels]) -> list[bytes]:
    """The crops of one texture as PNG files."""
    return [encode(pixels) for pixels in texture]


@pytest.fixture
def telemetry() -> Telemetry:
    """Series that no other test counts in."""
    return Telemetry()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server, started by the first test that asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """SQLAlchemy's URL of a database of this test's own, empty, on a real PostgreSQL server."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def bucket_environment() -> Iterator[dict[str, str]]:
    """The variables by which S3 clients find a server with a bucket, started when asked for."""
    with bucket_server() as environment:
        yield environment


@pytest.fixture
def bucket_location(bucket_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of this test's own in a bucket behind a real S3 API; the environment is set."""
    for name, value in bucket_environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/test-{uuid.uuid4().hex}"


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where nothing is stored yet: on SQLite and a directory, on PostgreSQL and a bucket."""
    return place_of(request.param, request, tmp_path)


@pytest.fixture
def storage(place: Place) -> Iterator[Storage]:
    """An empty storage of each kind."""
    with place.opened() as opened:
        yield opened
