"""Which version of a detector serves, shadows, is built on, and may be deleted."""

from dataclasses import replace

import pytest
from storage_helpers import (
    BY,
    calibrated,
    detector,
    files,
    following,
    same,
    three,
)

from app.errors import (
    InServiceError,
    NoPreviousVersionError,
    UnknownVersionError,
)
from app.storage import Storage
from app.storage.serving import Promote
from app.storage.versions import Stored
from detector.errors import NotCalibratedError, NotFittedError

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
    three(storage)
    second = storage.versions.get("bolts", 2)
    drawn = second.detector.decide("manual", {"value": 9.0})
    made = storage.versions.add(second, drawn, "threshold", BY)
    assert (made.entry.in_service, made.entry.tip) == (4, 3)
    third = storage.versions.get("bolts", 3)
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
    entry = storage.versions.rollback("bolts", BY, allow_uncalibrated=True)
    assert (entry.in_service, entry.tip, entry.version.version) == (1, 1, 1)
    assert storage.versions.rollback("bolts", BY).in_service == 2
    assert same(storage.versions.get("bolts").detector, calibrated(first.detector))
    storage.versions.promote("bolts", 1, BY, allow_uncalibrated=True)
    storage.versions.delete_version("bolts", 2, BY)
    with pytest.raises(NoPreviousVersionError):
        storage.versions.rollback("bolts", BY)
    assert storage.versions.entry("bolts").in_service == 1


def test_what_cannot_judge_is_not_put_in_service(storage: Storage) -> None:
    """Contract: nor, unless allowed, what has no threshold that holds in place of what has one."""
    versions = storage.versions
    empty = versions.create(replace(detector(), statistics={}), BY)
    fitted = versions.add(empty, detector(), "replace", BY)
    for put in (lambda: versions.promote("bolts", 1, BY), lambda: versions.rollback("bolts", BY)):
        with pytest.raises(NotFittedError, match="version 1 of 'bolts'"):
            put()
    held = versions.add(fitted, calibrated(fitted.detector), "calibrate", BY)
    stale = replace(held.detector, stale=True)
    versions.add(held, stale, "extend", BY, promote="never")
    for put, word in (
        (lambda: versions.promote("bolts", 2, BY), "no threshold"),
        (lambda: versions.promote("bolts", 4, BY), "a stale threshold"),
        (lambda: versions.rollback("bolts", BY), "no threshold"),
    ):
        with pytest.raises(NotCalibratedError, match=word):
            put()
    assert versions.entry("bolts").in_service == 3
    assert versions.promote("bolts", 4, BY, allow_stale=True).in_service == 4
    assert versions.promote("bolts", 2, BY).in_service == 2  # there is none that holds to lose
    versions.promote("bolts", 3, BY)
    assert versions.rollback("bolts", BY, allow_uncalibrated=True).in_service == 2


def test_a_proposal_is_built_on_once_it_is_promoted(storage: Storage) -> None:
    """Contract: no later change takes it along into service."""
    third = three(storage)[2]
    drawn = third.detector.decide("manual", {"value": 9.0})
    made = storage.versions.add(third, drawn, "review", BY, promote="never")
    assert (made.entry.in_service, made.entry.tip) == (3, 3)
    assert storage.versions.promote("bolts", 4, BY).tip == 4


@pytest.mark.parametrize(
    ("promote", "expected"), [("auto", (1, 1)), ("always", (3, 3)), ("never", (1, 3))]
)
def test_what_was_put_in_service_meanwhile_stays(
    storage: Storage, promote: Promote, expected: tuple[int, int]
) -> None:
    """Contract: with auto a change that began before neither serves nor leads, and says so."""
    first = storage.versions.create(detector(), BY)
    begun = storage.versions.add(first, calibrated(first.detector), "calibrate", BY)
    storage.versions.rollback("bolts", BY, allow_uncalibrated=True)
    late = storage.versions.get("bolts", 2)  # read anew, after a crash
    for base, serving in ((begun, None), (late, 2)):  # the second time it was made already
        made = storage.versions.add(
            base,
            calibrated(following(base.detector)),
            "calibrate",
            BY,
            promote=promote,
            run="a" * 32,
            serving=serving,
        )
        assert (made.entry.in_service, made.entry.tip) == expected
        assert ("version 1 was put in service" in made.aside) == (promote == "auto")
    unmoved = storage.versions.get("bolts", 2)
    made = storage.versions.add(unmoved, calibrated(following(first.detector)), "calibrate", BY)
    assert (made.entry.in_service, made.entry.tip, made.aside) == (4, 4, "")


def test_the_audit_says_what_served_when_a_detector_was_deleted(storage: Storage) -> None:
    """Contract: the number of the version in service, by its name."""
    three(storage)
    storage.versions.promote("bolts", 2, BY)
    storage.versions.delete("bolts", BY)
    line = storage.audit.lines(subject="bolts")[-1]
    assert line.action == "detector.delete"
    assert line.before["in_service"] == 2
    assert "versions" not in line.before


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
    versions.promote("bolts", 1, BY, allow_uncalibrated=True)
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
    versions.promote("bolts", 1, BY, allow_uncalibrated=True)
    versions.delete_version("bolts", 4, BY)
    gone = {third.entry.version.files.decision, *vars_of(tip)}
    assert kept - files(storage) == gone
    assert same(versions.get("bolts", 2).detector, second.detector)
    made = versions.add(first, following(first.detector), "replace", BY)
    assert made.detector.version == 5  # a number is never given twice


def vars_of(stored: Stored) -> tuple[str, str]:
    named = stored.entry.version.files
    return named.fit, named.decision
