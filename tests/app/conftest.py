"""What tests of the service share: series of their own, an environment without settings."""

import os

import pytest
from http_helpers import Pixels, encode

from app.settings import PREFIX
from app.telemetry import Telemetry


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the settings be those of the test, whatever the shell that runs it has exported."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def pngs(texture: list[Pixels]) -> list[bytes]:
    """The crops of one texture as PNG files."""
    return [encode(pixels) for pixels in texture]


@pytest.fixture
def telemetry() -> Telemetry:
    """Series that no other test counts in."""
    return Telemetry()
