"""What tests of the service share: an environment without settings, databases, what moves."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bucket_server import BUCKET, bucket_server
from history_helpers import Line, line
from http_helpers import Pixels, create, encode
from job_helpers import Life, impatient, life
from key_helpers import opened
from moving_helpers import Site, site
from postgres_server import Postgres, postgres_server
from real_server import STUB, Server
from storage_helpers import KINDS, Place, place_of
from watch_helpers import watched

from app.settings import PREFIX
from app.storage import Storage
from app.storage.database import Database
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


@pytest.fixture(scope="module")
def stub_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process on a backbone without torch."""
    with Server(tmp_path_factory.mktemp("server") / "data", {}, STUB).serving() as server:
        yield server


@pytest.fixture(scope="module")
def watched_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a calibrated detector that has seen nothing yet."""
    directory = tmp_path_factory.mktemp("made") / "data"
    with line(directory) as running:
        watched(running)
    return directory


@pytest.fixture
def watched_place(watched_data: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(watched_data, tmp_path / "data"))


@pytest.fixture
def bolts(watched_place: Path) -> Iterator[Line]:
    """A watched detector that has seen nothing yet."""
    with line(watched_place) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Where a detector was fitted twice and calibrated."""
    with site(tmp_path_factory.mktemp("home")) as there:
        there.learn()
        yield there


@pytest.fixture(scope="module")
def bundle(home: Site) -> bytes:
    """What it is exported as, with rows."""
    return home.export(rows=True)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Site]:
    """Another service, empty."""
    with site(tmp_path) as there:
        yield there


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    """One empty database of each kind, opened twice, as two processes do."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with ExitStack() as stack:
        yield [stack.enter_context(opened(tmp_path, url)) for _ in range(2)]


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for jobs, progress and events often."""
    impatient(monkeypatch)


@pytest.fixture
def here(tmp_path: Path, impatience: None) -> Iterator[Life]:
    """A service whose backbone can be held up, with a detector that knows nothing."""
    with life(tmp_path) as here:
        create(here.client, "bolts", scorer="fusion")
        yield here
