"""Extending and forgetting: exact, and as much work as what is added or taken out.

Work is counted, not timed: images that the backbone is given, files of rows that are read, rows
that become statistics, lines of lineage that are written.
"""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create
from sqlalchemy import func, select
from storage_helpers import BY
from work_helpers import Pictures, Work, counting

from app.errors import NothingLeftError, RowsNotKeptError, UnknownImageError
from app.learning import fitting
from app.learning.order import Order
from app.results import Learned
from app.storage.tables import VERSION_IMAGES
from detector.errors import NotFittedError
from detector.scorers import SCORERS

PROBES = [picture(10**6 + i, odd) for i, odd in enumerate((0, 20, 40, 90))]


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    with line(tmp_path) as running:
        yield running


@pytest.fixture
def work(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> Work:
    return counting(bolts.service, monkeypatch)


def fit(bolts: Line, images: Pictures, *, extend: bool = False, run: str = "") -> Learned:
    order = Order(BY, run or uuid.uuid4().hex)
    return bolts.call(fitting.fit, bolts.service, NAME, images, order, extend=extend)


def forget(
    bolts: Line, *, digests: Sequence[str] = (), groups: Sequence[str] = (), run: str = ""
) -> Learned:
    order = Order(BY, run or uuid.uuid4().hex)
    return bolts.call(fitting.forget, bolts.service, NAME, order, digests=digests, groups=groups)


def scores(bolts: Line, made: Learned) -> list[float]:
    version = made.stored.entry.version.version
    return [each["score"] for each in bolts.score(PROBES, version=version)]


def lineage(bolts: Line, made: Learned) -> int:
    """Return how many lines of lineage a version has written."""
    version = made.stored.entry.version.version
    chosen = select(func.count()).where(VERSION_IMAGES.c.version == version)
    with bolts.service.storage.database.read() as connection:
        return int(connection.scalar(chosen) or 0)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["digest", "group"])
def test_2000_and_50_and_without_the_50_again(bolts: Line, work: Work, by: str) -> None:
    """Law: the first scores are back, and what was done is counted in 50, not in 2,000."""
    create(bolts.client, NAME, scorer="fusion")
    many, few = Pictures(range(2000)), Pictures(range(5000, 5050), "lot 2", odd=60)
    first = fit(bolts, many)
    assert (first.used, work.taken().rows) == (2000, 2000)
    expected = scores(bolts, first)
    work.taken()

    extended = fit(bolts, few, extend=True)
    assert work.taken() == Work(embedded=50, files=[], rows=50)
    assert lineage(bolts, extended) == 50
    assert extended.stored.detector.fitted_images == 2050
    moved = scores(bolts, extended)
    assert np.abs(np.divide(moved, expected) - 1).min() > 0.01  # they count
    work.taken()

    asked: dict[str, Any] = {"digests": few.digests} if by == "digest" else {"groups": ["lot 2"]}
    forgotten = forget(bolts, **asked)
    (file,) = {
        image.rows_blob
        for image in bolts.service.storage.versions.images(extended.stored.entry)[2000:]
    }
    assert work.taken() == Work(embedded=0, files=[file], rows=50)
    assert lineage(bolts, forgotten) == 50
    assert forgotten.stored.detector.fitted_images == 2000
    np.testing.assert_allclose(scores(bolts, forgotten), expected, rtol=1e-6)
    known = bolts.service.storage.versions.images
    assert known(forgotten.stored.entry) == known(first.stored.entry)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("scorer", SCORERS)
def test_forgotten_is_never_seen(bolts: Line, scorer: str, flips: bool) -> None:
    """Law: for every scorer, mirrored views or not, added or there from the beginning."""
    create(bolts.client, NAME, scorer=scorer, options={"flips": flips})
    stay, go = Pictures(range(40)), Pictures(range(100, 110))
    expected = scores(bolts, fit(bolts, stay))
    fit(bolts, go, extend=True)
    left = forget(bolts, digests=go.digests)
    np.testing.assert_allclose(scores(bolts, left), expected, rtol=1e-6)
    fit(bolts, Pictures([*range(100, 105), *range(40), *range(105, 110)]))
    left = forget(bolts, digests=go.digests)
    assert left.stored.detector.fitted_images == 40
    np.testing.assert_allclose(scores(bolts, left), expected, rtol=1e-6)


def test_only_the_files_of_the_forgotten_are_read(bolts: Line, work: Work) -> None:
    """Law: of all chunks those in which they lie, each once, and of these only their rows."""
    create(bolts.client, NAME)
    images = Pictures(range(400))
    made = fit(bolts, images)
    work.taken()
    gone = [3, 5, 200, 399]
    forget(bolts, digests=[images.digests[place] for place in gone])
    known = bolts.service.storage.versions.images(made.stored.entry)
    files = sorted({known[place].rows_blob for place in gone})
    assert len(files) == 3
    assert work.taken() == Work(embedded=0, files=files, rows=4)


def test_digests_and_groups_together_and_every_copy(bolts: Line) -> None:
    """Contract: what is of a digest or of a group goes, each image once; a file that was fitted
    twice goes twice."""
    create(bolts.client, NAME)
    fit(bolts, Pictures([*range(10), 3], "lot 1"))
    fit(bolts, Pictures([20, 21, 3, 22], "lot 2"), extend=True)
    digests = Pictures([3, 20]).digests
    left = forget(bolts, digests=digests, groups=["lot 2"])
    assert left.used == 6
    known = bolts.service.storage.versions.images(left.stored.entry)
    assert [image.name for image in known] == [f"{n}.bmp" for n in range(10) if n != 3]
    assert left.stored.detector.fitted_images == len(known)


def everything(bolts: Line) -> tuple[Any, ...]:
    """Return all that is stored of the detector."""
    storage = bolts.service.storage
    return (
        storage.versions.entry(NAME),
        storage.versions.versions(NAME),
        storage.blobs.names(),
        storage.audit.lines(),
    )


def test_what_cannot_be_forgotten_changes_nothing(bolts: Line) -> None:
    """Contract: unknown digests and groups, nothing named, everything, and what is not fitted."""
    create(bolts.client, NAME)
    with pytest.raises(NotFittedError, match="fit it first"):
        forget(bolts, groups=["lot 1"])
    images = Pictures(range(5), "lot 1")
    fit(bolts, images)
    fit(bolts, Pictures([10], "lot 2"), extend=True)
    before = everything(bolts)
    for asked in (
        {"digests": ["0" * 64]},
        {"digests": [*images.digests[:2], "0" * 64]},
        {"groups": ["lot 3"]},
        {"groups": ["lot 1", "lot 3"]},
        {"digests": images.digests[:1], "groups": ["lot 3"]},
    ):
        with pytest.raises(
            UnknownImageError, match=r"^1 digest.* that this version was not fitted"
        ):
            forget(bolts, **asked)
    with pytest.raises(UnknownImageError, match="none given"):
        forget(bolts)
    for asked in (
        {"groups": ["lot 1", "lot 2"]},
        {"digests": images.digests, "groups": ["lot 2"]},
    ):
        with pytest.raises(NothingLeftError, match=r"all 6 images.*mode=replace"):
            forget(bolts, **asked)
    assert everything(bolts) == before


def test_without_rows_nothing_is_forgotten(tmp_path: Path) -> None:
    """Contract: refused, naming the setting and what to do; nothing changes."""
    with line(tmp_path, keep_fitted_rows=False) as bolts:
        create(bolts.client, NAME)
        images = Pictures(range(5))
        fit(bolts, images)
        before = everything(bolts)
        with pytest.raises(RowsNotKeptError, match=r"GATEWATCH_KEEP_FITTED_ROWS.*mode=replace"):
            forget(bolts, digests=images.digests[:1])
        assert everything(bolts) == before


def test_a_run_that_is_taken_up_again_does_nothing_twice(bolts: Line, work: Work) -> None:
    """Law: the same version is given again, from the rows that were kept."""
    create(bolts.client, NAME)
    fit(bolts, Pictures(range(70)))
    few, run = Pictures(range(100, 103)), uuid.uuid4().hex
    base = bolts.service.storage.versions.entry(NAME).tip
    order = Order(BY, run, base)
    made = [bolts.call(fitting.fit, bolts.service, NAME, few, order, extend=True) for _ in range(2)]
    assert [each.stored.entry.version.version for each in made] == [3, 3]
    assert made[1].stored.detector.fitted_images == 73
    assert work.taken().embedded == 73
    assert len(bolts.service.storage.versions.versions(NAME)) == 3
