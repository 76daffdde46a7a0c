"""What still goes on when a service stops."""

import threading
from pathlib import Path

import pytest
from history_helpers import NAME, line
from storage_helpers import Seconds

from app.storage.version_reader import Stored


def test_what_is_being_read_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: nobody reads from a database that is closed, though nobody waits for it."""
    order: list[str] = []
    closed = threading.Event()
    monkeypatch.setattr("app.storage.version_reader.time", Seconds())
    with line(tmp_path) as running:
        running.fit()
        storage, usable = running.service.storage, running.service.catalogue.usable
        running.call(usable, NAME, None, allow_stale=False)
        read, close = storage.versions.get, storage.database.close

        def reads(name: str, version: int | None = None) -> Stored:
            closed.wait(0.2)  # until it is too late, unless it is waited for
            order.append("read")
            return read(name, version)

        def closes() -> None:
            order.append("closed")
            closed.set()
            close()

        monkeypatch.setattr(storage.versions, "ages", lambda *_: True)
        monkeypatch.setattr(storage.versions, "get", reads)
        monkeypatch.setattr(storage.database, "close", closes)
        running.call(usable, NAME, None, allow_stale=False)
    assert order == ["read", "closed"]
