"""Which version of a detector serves, shadows, is built on, and may be deleted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from storage_helpers import (
    BY,
    KINDS,
    Place,
    calibrated,
    detector,
    files,
    following,
    place_of,
    same,
    three,
)

from app.errors import (
    InServiceError,
    NoPreviousVersionError,
    UnknownVersionError,
)
from app.storage import Storage
from app.storage.version_rows import Promote
from app.storage.versions import Stored


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where nothing is stored yet."""
    return place_of(request.param, request, tmp_path)


@pytest.fixture
def storage(place: Place) -> Iterator[Storage]:
    with place.opened() as opened:
        yield opened


SERVES: list[tuple[Promote, list[int]]] = [
    ("auto", [1, 2, 2, 4]),
    ("always", [1, 2, 3, 4]),
    ("never", [1, 1, 1, 1]),
]


@pytest.mark.parametrize(("promote", "expected"), SERVES)
def test_what_goes_into_service(storage: Storage, promote: Promote, expected: list[int]) -> None:
    """Contract: auto leaves a threshold that holds in service until there is another."""
    at = storage.versions.create(detector(), BY)
    served = [at.entry.in_service]
    stale = replace(calibrated(following(at.detector)), stale=True)
    for new in (calibrated(at.detector), stale, calibrated(following(at.detector, seed=3))):
        at = storage.versions.add(at, new, "calibrate", BY, promote=promote)
        served.append(at.entry.in_service)
        assert at.entry.tip == at.detector.version
    assert served == expected


def test_a_threshold_of_an_older_version_leaves_the_tip(storage: Storage) -> None:
    """Contract: it serves, and what is being prepared goes on from where it was."""
    _, second, third = three(storage)
    drawn = second.detector.decide("manual", {"value": 9.0})
    made = storage.versions.add(second, drawn, "threshold", BY)
    assert (made.entry.in_service, made.entry.tip) == (4, 3)
    drawn = third.detector.decide("manual", {"value": 9.0})
    made = storage.versions.add(third, drawn, "threshold", BY)
    assert (made.entry.in_service, made.entry.tip) == (5, 5)


def test_promotion_and_the_way_back(storage: Storage) -> None:
    """Contract: a roll back swaps what serves and what served before; twice is where one was."""
    first = storage.versions.create(detector(), BY)
    with pytest.raises(NoPreviousVersionError):
        storage.versions.rollback("bolts", BY)
    storage.versions.add(first, calibrated(first.detector), "calibrate", BY)
    assert storage.versions.promote("bolts", 2, BY).in_service == 2  # nothing changes by it
    entry = storage.versions.rollback("bolts", BY)
    assert (entry.in_service, entry.tip, entry.version.version) == (1, 1, 1)
    assert storage.versions.rollback("bolts", BY).in_service == 2
    assert same(storage.versions.get("bolts").detector, calibrated(first.detector))
    storage.versions.promote("bolts", 1, BY)
    storage.versions.delete_version("bolts", 2, BY)
    with pytest.raises(NoPreviousVersionError):
        storage.versions.rollback("bolts", BY)
    assert storage.versions.entry("bolts").in_service == 1


def test_a_shadow_is_a_pointer(storage: Storage) -> None:
    """Contract: set, shown with the detector, taken away; what serves stays."""
    three(storage)
    assert storage.versions.shadow("bolts", 1, BY).shadow == 1
    assert [entry.shadow for entry in storage.versions.all()] == [1]
    entry = storage.versions.shadow("bolts", None, BY)
    assert (entry.shadow, entry.in_service, entry.tip) == (None, 3, 3)


def test_a_version_that_is_used_cannot_be_deleted(storage: Storage) -> None:
    """Contract: refused, saying what uses it; a shared file stays as long as one names it."""
    first, second, third = three(storage)
    versions = storage.versions
    with pytest.raises(InServiceError, match="in service"):
        versions.delete_version("bolts", 3, BY)
    versions.promote("bolts", 1, BY)
    with pytest.raises(InServiceError, match=r"version 3 .* was made from version 2"):
        versions.delete_version("bolts", 2, BY)
    versions.shadow("bolts", 3, BY)
    with pytest.raises(InServiceError, match="the shadow"):
        versions.delete_version("bolts", 3, BY)
    versions.shadow("bolts", None, BY)
    tip = versions.add(first, following(first.detector), "replace", BY, promote="never")
    with pytest.raises(InServiceError, match="the tip"):
        versions.delete_version("bolts", 4, BY)

    kept = files(storage)
    versions.delete_version("bolts", 3, BY)
    assert kept - files(storage) == {third.entry.version.files.decision}
    with pytest.raises(UnknownVersionError):
        versions.get("bolts", 3)
    versions.promote("bolts", 1, BY)
    versions.delete_version("bolts", 4, BY)
    gone = {third.entry.version.files.decision, *vars_of(tip)}
    assert kept - files(storage) == gone
    assert same(versions.get("bolts", 2).detector, second.detector)
    made = versions.add(first, following(first.detector), "replace", BY)
    assert made.detector.version == 5  # a number is never given twice


def vars_of(stored: Stored) -> tuple[str, str]:
    named = stored.entry.version.files
    return named.fit, named.decision
