"""A live server for the client, and both clients of it."""

from collections.abc import Iterator

import pytest
from client_helpers import STUB, Both, both, calibrated
from real_server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process on a backbone that obeys its pictures, with nothing in it."""
    with Server(tmp_path_factory.mktemp("server") / "data", {}, STUB).serving() as server:
        yield server


@pytest.fixture(scope="module")
def url(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its address, once it has a detector that is fitted and calibrated."""
    address = f"http://127.0.0.1:{server.port}"
    calibrated(address, tmp_path_factory.mktemp("pictures"))
    return address


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Both]:
    """Each of the two clients."""
    yield from both(request.param, url)
