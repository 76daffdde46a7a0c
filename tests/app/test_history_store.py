"""Scored images at rest, on SQLite and on PostgreSQL: caps, sums, what a crash leaves."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from key_helpers import BY, NOON
from storage_helpers import at_once, detector

from app.errors import MissingBlobError, UnknownImageError
from app.storage import Storage
from app.storage.cursor import Cursor
from app.storage.history import KeptHistory, ScoredImage
from app.storage.shadows import Agreement, Shadows
from detector.rows import Rows

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


def images(storage: Storage, count: int, at: datetime = NOON) -> list[ScoredImage]:
    """Return images that were scored a second after each other."""
    identity = storage.versions.entry("bolts").id
    return [
        ScoredImage(
            uuid.uuid4().hex,
            identity,
            1,
            at + timedelta(seconds=i),
            f"{i}.png",
            "",
            "0" * 64,
            1.5 + i,
            2.0 if i else None,
            0.25,
            "normal",
            "",
            0,
        )
        for i in range(count)
    ]


def test_what_is_kept_comes_back(storage: Storage, kept: KeptHistory) -> None:
    """Law: images and rows are those that were written, to the bit."""
    said, theirs = images(storage, 5), rows(5)
    assert kept.write("5" * 64, said, theirs)
    (chunk,) = kept.chunks(said[0].detector_id)
    found = kept.images_of(chunk)
    assert [replace(each, chunk="", row=0) for each in found] == said
    assert [each.row for each in found] == list(range(5))
    assert kept.image(said[2].id) == (found[2], "bolts")
    again, backbone = kept.rows(said[0].detector_id, chunk.id)
    assert backbone == "5" * 64
    np.testing.assert_array_equal(again.blocks["block"], theirs.blocks["block"])
    assert (chunk.images, chunk.first_at, chunk.last_at) == (5, said[0].at, said[4].at)
    assert chunk.size_bytes == storage.blobs.listing("history")[0].size


def test_times_bound_what_is_found(storage: Storage, kept: KeptHistory) -> None:
    """Law: chunks and images by time are those that a scan of all would give."""
    for start in (0, 100, 200):
        part = images(storage, 4, NOON + timedelta(seconds=start))
        kept.write("5" * 64, part, rows(4))
    identity = part[0].detector_id
    everything = [each for chunk in kept.chunks(identity) for each in kept.images_of(chunk)]
    assert len(everything) == 12
    edges = [NOON + timedelta(seconds=s) for s in (-1, 0, 2, 3, 50, 100, 103, 204)]
    for since in (None, *edges):
        for until in (None, *edges):
            found = [
                each
                for chunk in kept.chunks(identity, since, until)
                for each in kept.images_of(chunk, since, until)
            ]
            wanted = [
                each
                for each in everything
                if (since is None or each.at >= since) and (until is None or each.at < until)
            ]
            assert found == wanted
            newest = kept.page(identity, 100, since=since, until=until)
            assert sorted(newest, key=lambda each: each.id) == sorted(
                wanted, key=lambda each: each.id
            )


def test_the_oldest_chunks_go_first(storage: Storage, kept: KeptHistory) -> None:
    """Law: what is left fits the cap, is the newest, and has its rows; the rest is gone."""
    parts = [images(storage, 3, NOON + timedelta(minutes=i)) for i in (2, 0, 3, 1)]
    for part in parts:
        kept.write("5" * 64, part, rows(3))
    by_age = kept.chunks(parts[0][0].detector_id)
    sizes = [chunk.size_bytes for chunk in by_age]
    assert kept.trim(sum(sizes), LONG_AGO) == 0
    assert kept.trim(sum(sizes[2:]), LONG_AGO) == 2
    assert kept.chunks(parts[0][0].detector_id) == by_age[2:]
    assert storage.blobs.names("history") == sorted(chunk.blob for chunk in by_age[2:])
    with pytest.raises(UnknownImageError):
        kept.image(parts[1][0].id)
    assert kept.image(parts[2][0].id)
    with pytest.raises(MissingBlobError):
        kept.rows(parts[0][0].detector_id, by_age[0].id)
    assert kept.images_of(by_age[0]) == []
    assert kept.trim(0, LONG_AGO) == 2
    assert storage.blobs.names("history") == []


def test_old_chunks_go_whole(storage: Storage, kept: KeptHistory) -> None:
    """Contract: a chunk goes when its last image is too old, not before."""
    part = images(storage, 3)
    kept.write("5" * 64, part, rows(3))
    assert kept.trim(10**9, part[2].at) == 0
    assert kept.trim(10**9, part[2].at + timedelta(seconds=1)) == 1


def test_a_deleted_detector_gets_no_history(storage: Storage, kept: KeptHistory) -> None:
    """Contract: what waited when it was deleted is not kept, and leaves no blob."""
    part = images(storage, 2)
    storage.versions.delete("bolts", BY)
    assert not kept.write("5" * 64, part, rows(2))
    assert storage.blobs.names("history") == []


def test_shadows_add_up(storage: Storage) -> None:
    """Law: counts of any number of processes at once are their sum."""
    identity, shadows = storage.versions.entry("bolts").id, Shadows(storage.database)
    counted = [
        Agreement(identity, 1, 2, i, 1, 2 * i, NOON, NOON + timedelta(seconds=i)) for i in range(8)
    ]
    assert shadows.get(identity, 1, 2) is None
    at_once([lambda each=each: shadows.add([each]) for each in counted])
    total = shadows.get(identity, 1, 2)
    assert total == Agreement(identity, 1, 2, 28, 8, 56, NOON, total.last_at if total else NOON)
    shadows.add([Agreement("0" * 32, 1, 2, 1, 1, 1, NOON, NOON)])  # of a detector that is gone


def test_cursors_round_trip() -> None:
    """Law: a cursor is what its text stands for, to the microsecond."""
    for microseconds in (0, 1, 999_999):
        cursor = Cursor(NOON + timedelta(microseconds=microseconds), "0" * 32)
        assert Cursor.of(str(cursor)) == cursor
