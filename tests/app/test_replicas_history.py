"""Two replicas that remove what is too much of the history at the same time."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from key_helpers import NOON
from sqlalchemy import event
from storage_helpers import detector
from test_history_store import BY, LONG_AGO, images, rows

from app.storage import Storage
from app.storage.history import KeptHistory


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_what_is_too_much_goes_once(postgres_url: str, tmp_path: Path, turn: int) -> None:
    """Law: after anything that one reads the other may remove it all: no more goes than must."""
    one, other = (Storage.open(tmp_path, database=postgres_url) for _ in range(2))
    try:
        one.versions.create(detector(), BY)
        ours, theirs = (KeptHistory(each.database, each.blobs) for each in (one, other))
        for minute in range(6):
            said = images(one, 3, NOON + timedelta(minutes=minute))
            ours.write("5" * 64, said, rows(3))
        chunks = ours.chunks(said[0].detector_id)
        room = sum(chunk.size_bytes for chunk in chunks[2:])
        said_so_far = []

        def meanwhile(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if not statement.startswith("SELECT"):
                return  # it holds locks, for which the other would wait
            said_so_far.append(statement)
            if len(said_so_far) == turn:
                theirs.trim(room, LONG_AGO)

        engine = one.database._engine
        event.listen(engine, "after_cursor_execute", meanwhile)
        ours.trim(room, LONG_AGO)
        event.remove(engine, "after_cursor_execute", meanwhile)
        assert said_so_far
        assert ours.chunks(said[0].detector_id) == chunks[2:]
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("room", [0, 10**9])
def test_nothing_is_no_trouble(postgres_url: str, tmp_path: Path, room: int) -> None:
    """Contract: an empty history is never too much."""
    storage = Storage.open(tmp_path, database=postgres_url)
    try:
        assert KeptHistory(storage.database, storage.blobs).trim(room, LONG_AGO) == 0
    finally:
        storage.close()
