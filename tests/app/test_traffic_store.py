"""What was scored lately, counted from indexes alone, on SQLite and on PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from key_helpers import BY, NOON
from sqlalchemy import insert
from sqlalchemy.engine import Connection
from storage_helpers import Place, detector

from app.storage import Storage
from app.storage.census import census, to_review
from app.storage.tables import REVIEWS, SCORED
from app.storage.traffic import Traffic, traffic

NAMES = ("bolts", "caps", "idle")
WORDS = ("normal", "uncertain", "anomalous", "uncalibrated")
EDGES = [NOON + timedelta(minutes=10 * place) for place in range(7)]
Said = tuple[str, datetime, str]
"""An image's detector, by id, when it was scored, and its verdict."""


@pytest.fixture
def storage(place: Place) -> Iterator[Storage]:
    with place.opened() as opened:
        for name in NAMES:
            opened.versions.create(detector(name), BY)
        yield opened


def keep(storage: Storage, said: list[Said]) -> list[str]:
    """Write rows of scored images; return their ids."""
    rows = [
        {
            "id": UUID(int=number + 1).hex,
            "detector_id": identity,
            "version": 1,
            "at": at,
            "name": "a.png",
            "group": "",
            "sha256": "0" * 64,
            "score": 1.0,
            "verdict": word,
            "chunk": "0" * 32,
            "row": number,
        }
        for number, (identity, at, word) in enumerate(said)
    ]
    with storage.database.write() as connection:
        connection.execute(insert(SCORED), rows)
    return [str(row["id"]) for row in rows]


def ids(storage: Storage) -> dict[str, str]:
    return {entry.name: entry.id for entry in storage.versions.all()}


def invented(storage: Storage, count: int) -> list[Said]:
    """Return images of all but the idle one: on the edges, between them, and beyond both ends."""
    random, known = Random(0), ids(storage)
    moments = [NOON + timedelta(seconds=random.uniform(-900, 4500)) for _ in range(count)]
    moments += [edge + timedelta(microseconds=off) for edge in EDGES for off in (-1, 0, 1)]
    return [(known[random.choice(NAMES[:2])], at, random.choice(WORDS)) for at in moments]


def counted(storage: Storage) -> dict[str, Traffic]:
    with storage.database.read() as connection:
        return traffic(connection, EDGES)


def test_counts_are_those_of_a_scan_of_all(storage: Storage) -> None:
    """Reference: a naive count; what begins a part belongs to it, what ends it to the next."""
    said = invented(storage, 400)
    keep(storage, said)
    found = counted(storage)
    assert set(found) == set(ids(storage).values())
    for identity, seen in found.items():
        ours = [(at, word) for whose, at, word in said if whose == identity]
        words = Counter(word for at, word in ours if EDGES[0] <= at < EDGES[-1])
        assert (seen.images, seen.flagged) == (words.total(), words["anomalous"])
        assert seen.uncertain == words["uncertain"]
        assert seen.last_at == max((at for at, _ in ours), default=None)
        assert len(seen.parts) == len(EDGES) - 1
        for place, part in enumerate(seen.parts):
            here = [word for at, word in ours if EDGES[place] <= at < EDGES[place + 1]]
            assert (part.images, part.flagged) == (len(here), here.count("anomalous"))


def test_what_waits_are_flagged_images_without_a_review(storage: Storage) -> None:
    """Reference: a naive count, whatever the time; and the metrics' number."""
    said = invented(storage, 100)
    kept = keep(storage, said)
    reviewed = kept[::3]
    with storage.database.write() as connection:
        rows = [
            {
                "id": UUID(int=1000 + 2 * number + twice).hex,
                "image_id": image,
                "detector_id": said[kept.index(image)][0],
                "word": "confirmed",
                "note": "",
                "who": "tester",
                "at": NOON,
            }
            for number, image in enumerate(reviewed)
            for twice in (0, 1)
        ]
        connection.execute(insert(REVIEWS), rows)
    waiting = Counter(
        whose
        for (whose, _, word), image in zip(said, kept, strict=True)
        if word in ("anomalous", "uncertain") and image not in reviewed
    )
    with storage.database.read() as connection:
        assert to_review(connection) == waiting
    queues = {identity: found.to_review for identity, found in census(storage.database).items()}
    assert queues == {identity: waiting[identity] for identity in ids(storage).values()}


def test_a_deleted_detector_is_not_counted(storage: Storage) -> None:
    """Law: forget = never seen."""
    keep(storage, invented(storage, 20))
    gone = ids(storage)["bolts"]
    storage.versions.delete("bolts", BY)
    assert set(counted(storage)) == set(ids(storage).values())
    with storage.database.read() as connection:
        assert gone not in to_review(connection)


def statements(connection: Connection) -> list[str]:
    """Return what counting asks SQLite about images, with all values in it."""
    sent: list[str] = []
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.set_trace_callback(sent.append)
    traffic(connection, EDGES)
    to_review(connection)
    raw.set_trace_callback(None)
    return [each for each in sent if "scored" in each]


def test_no_row_of_an_image_is_read(tmp_path: Path) -> None:
    """Contract: on SQLite, an index that holds all that is asked for; a million images are many."""
    with Place(tmp_path).opened() as storage, storage.database.read() as connection:
        sent = statements(connection)
        assert len(sent) == 2
        for statement in sent:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
            ours = [row[3] for row in plan if "scored" in row[3]]
            assert ours
            assert all("USING COVERING INDEX scored_" in step for step in ours), ours
