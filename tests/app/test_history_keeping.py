"""Notes of what was scored, kept in the background: in chunks, bounded, come what may."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from key_helpers import BY, NOON, Clock
from storage_helpers import detector

from app.errors import StorageUnavailableError, UnknownImageError
from app.past import history as module
from app.past.history import CHUNK_IMAGES, History
from app.scoring.judging import Seen, SeenImage
from app.settings import Settings
from app.storage import Storage
from app.storage.history import KeptHistory
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from detector.rows import Rows
from detector.verdict import Verdict

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A storage of each kind, with the detector ``bolts``."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    opened = Storage.open(tmp_path, database=url)
    opened.versions.create(detector(), BY)
    yield opened
    opened.close()


@pytest.fixture
def kept(storage: Storage) -> KeptHistory:
    return KeptHistory(storage.database, storage.blobs)


def rows(count: int, seed: int = 0) -> Rows:
    """Return rows, without pixels."""
    made = np.random.default_rng(seed).normal(size=(count, 50)).astype(np.float32)
    return Rows({"block": made})


def seen(storage: Storage, count: int, name: str = "1.png", version: int = 1) -> Seen:
    """Return images as scoring notes them."""
    stored = storage.versions.get("bolts")
    stored = Stored(replace(stored.detector, version=version), stored.entry)
    verdict = Verdict(1.0, {"block": 1.0}, 2.0, -1.0, 0.5, flagged=False)
    of = [SeenImage(uuid.uuid4().hex, name, "0" * 64, verdict, None) for _ in range(count)]
    return Seen(stored, None, "", NOON, of, rows(count))


def noted(storage: Storage, parts: list[Seen], telemetry: Telemetry | None = None) -> None:
    """Note these, one after another, and stop."""

    async def go() -> None:
        history = History(Settings(), storage, telemetry)
        for part in parts:
            history.note(part)
        history.start()
        await history.stop()

    asyncio.run(go())


def test_chunks_hold_one_version_and_are_bounded(storage: Storage, kept: KeptHistory) -> None:
    """Law: images keep their order and rows; no chunk mixes versions or is too large."""
    sizes = [(3, 1), (60, 1), (1, 2), (64, 1), (1, 1), (2, 2), (63, 1)]
    parts = [seen(storage, count, version=version) for count, version in sizes]
    noted(storage, parts)
    found = [kept.images_of(chunk) for chunk in kept.chunks(parts[0].stored.entry.id)]
    assert all(len(chunk) <= CHUNK_IMAGES for chunk in found)
    assert all(len({each.version for each in chunk}) == 1 for chunk in found)
    assert sorted(len(chunk) for chunk in found) == [3, 63, 64, 64]
    whole = {each.id for chunk in found for each in chunk}
    assert whole == {image.id for part in parts for image in part.images}
    for part in parts:
        image = kept.image(part.images[-1].id)[0]
        theirs, _ = kept.rows(image.detector_id, image.chunk)
        np.testing.assert_array_equal(
            theirs.blocks["block"][image.row], part.rows.blocks["block"][-1]
        )


def test_any_name_is_kept(storage: Storage, kept: KeptHistory) -> None:
    """Contract: names that a database refuses are mended, and spoil no other's."""
    parts = [seen(storage, 1, name) for name in ("a\0b.png", "caf\udce9.png", "é" * 300)]
    noted(storage, parts)
    names = {kept.image(part.images[0].id)[0].name for part in parts}
    assert names == {"ab.png", "caf?.png", "é" * 300}


def test_what_cannot_be_kept_takes_no_others_along(storage: Storage, kept: KeptHistory) -> None:
    """Contract: of a chunk that a database refuses, what it takes alone is kept."""
    telemetry = Telemetry()
    parts = [seen(storage, 2) for _ in range(3)]
    parts[1] = replace(parts[1], group="a\0b")  # PostgreSQL refuses it
    noted(storage, parts, telemetry)
    refused = parts[1:2] if storage.database.is_shared else []
    for part in parts:
        if part in refused:
            with pytest.raises(UnknownImageError):
                kept.image(part.images[0].id)
        else:
            assert kept.image(part.images[1].id)[0].row % 2 == 1
    dropped = telemetry.registry.get_sample_value("gatewatch_history_dropped_images_total")
    assert dropped == 2 * len(refused)


def test_a_store_that_fails_is_asked_once(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: what is wrong with all of a chunk is not tried image by image."""
    telemetry, writes = Telemetry(), []

    def fail(*arguments: Any) -> None:
        writes.append(arguments)
        raise StorageUnavailableError("gone")

    monkeypatch.setattr(KeptHistory, "write", fail)
    noted(storage, [seen(storage, 2) for _ in range(3)], telemetry)
    assert len(writes) == 1
    dropped = telemetry.registry.get_sample_value("gatewatch_history_dropped_images_total")
    assert dropped == 6


def test_the_buffer_is_bounded(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: beyond it images are given up and counted, each once."""
    monkeypatch.setattr(module, "WAITING_IMAGES", 10)
    telemetry = Telemetry()
    parts = [seen(storage, 4) for _ in range(4)]
    noted(storage, parts, telemetry)
    dropped = telemetry.registry.get_sample_value("gatewatch_history_dropped_images_total")
    assert dropped == 8


def test_failures_are_said_once_a_minute(
    storage: Storage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: one line of log, however many images are lost; the next minute has another."""
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))

    class Full:
        def __getattr__(self, name: str) -> Any:
            raise OSError("disk full")

    broken = cast(Storage, SimpleNamespace(database=Full(), blobs=Full()))

    async def go() -> None:
        history = History(Settings(), broken)
        for passed_s in (0, 59, 1):
            clock.s += passed_s
            history.note(seen(storage, 1))
            await history.flush()

    asyncio.run(go())
    assert len(caplog.records) == 2
    assert all("disk full" in record.exc_text for record in caplog.records if record.exc_text)


def test_what_is_old_goes_though_nothing_is_scored(
    storage: Storage, kept: KeptHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: an idle server keeps to its days, too."""
    monkeypatch.setattr(module, "TIDY_S", 0.01)
    old = replace(seen(storage, 1), at=LONG_AGO)
    kept.write("5" * 64, list(module._said(old)), old.rows)
    assert storage.blobs.names("history")

    async def go() -> None:
        history = History(Settings(), storage)
        history.start()
        for _ in range(3000):
            await asyncio.sleep(0.02)
            if not await asyncio.to_thread(kept.chunks, storage.versions.entry("bolts").id):
                break
        await history.stop()

    asyncio.run(go())
    assert storage.blobs.names("history") == []
