"""Lines that are drawn from reviews: when they move, how far, and when there is none."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from history_helpers import NAME
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import detector as plain_detector

from app.errors import NoProposalError
from app.past.proposing import _between, _conformal, _extended
from app.past.reviewed import Reviewed
from app.storage.history import ScoredImage
from app.storage.reviews import ReviewWord
from detector.calibration import Calibration
from detector.detector import Detector


def reviewed(words: Sequence[ReviewWord]) -> Reviewed:
    """Return reviewed images of these words."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    images = [
        ScoredImage(f"{i:032x}", "", 1, at, "", "", f"{i:064x}", 0, None, None, "normal", "", i)
        for i in range(len(words))
    ]
    return Reviewed(images, words, None, 0)


def calibrated(scores: Sequence[float], target: float) -> Detector:
    """Return a detector with these calibration scores."""
    return replace(plain_detector(), calibration=Calibration(np.array(scores))).decide(
        "conformal", {"target": target}
    )


@given(
    st.lists(st.floats(0, 10), min_size=20, max_size=60),
    st.lists(st.floats(0, 30), min_size=1, max_size=30),
    st.sampled_from([0.05, 0.1, 0.3]),
)
def test_false_alarms_only_raise_a_conformal_line(
    scores: list[float], alarms: list[float], target: float
) -> None:
    """Law: whatever was reviewed, the line of the calibration alone is never undercut."""
    detector = calibrated(scores, target)
    present = detector.require_threshold()
    known = reviewed(["false_alarm"] * len(alarms))
    fresh = np.ones(len(alarms), dtype=bool)
    try:
        made = _conformal(detector, present, known, np.array(alarms), fresh, None)
    except NoProposalError:
        assert max(alarms) <= present.value
        return
    assert made.detector.require_threshold().value >= present.value
    assert made.taken == [i for i, score in enumerate(alarms) if score > present.value]
    assert made.detector.calibration_images == len(scores) + len(made.taken)
    told = made.detector.require_threshold().statement
    assert f"{len(made.taken)} reviewed false alarm(s)" in told


def test_few_false_alarms_hardly_move_a_line_of_many_images() -> None:
    """Reference: of 99 images at 10 % the 90th smallest; with 5 above it, of 104 the 95th."""
    scores = np.arange(1.0, 100.0)
    detector = calibrated(list(scores), 0.1)
    assert detector.require_threshold().value == 90
    known = reviewed(["false_alarm"] * 5)
    made = _conformal(
        detector,
        detector.require_threshold(),
        known,
        np.full(5, 200.0),
        np.ones(5, dtype=bool),
        None,
    )
    assert made.detector.require_threshold().value == 95


def test_a_line_between_needs_both_sides_apart() -> None:
    """Contract: midway, or refused; the uncertain band stays where it has room."""
    detector = calibrated(list(np.arange(1.0, 40.0)), 0.1)
    present = replace(detector.require_threshold(), review=20.0)
    words: list[ReviewWord] = ["false_alarm", "confirmed", "missed"]
    made = _between(detector, present, reviewed(words), np.array([50.0, 90.0, 60.0]))
    drawn = made.detector.require_threshold()
    assert (drawn.value, drawn.review, drawn.method) == (55.0, 20.0, "manual")
    with pytest.raises(NoProposalError, match="no line lies between"):
        _between(detector, present, reviewed(words), np.array([70.0, 90.0, 60.0]))
    low = _between(detector, present, reviewed(words), np.array([2.0, 90.0, 6.0]))
    assert low.detector.require_threshold().review is None


@pytest.mark.parametrize(
    ("words", "scores", "line"),
    [
        (["false_alarm", "passed", "confirmed"], [50.0, 56.0, 60.0], 58.0),
        (["passed", "passed", "missed"], [10.0, 20.0, 30.0], 25.0),
        (["passed", "missed"], [30.0, 20.0], "no line lies between"),
        (["passed", "confirmed"], [20.0, 90.0], "nothing to mend"),
    ],
)
def test_a_line_between_flags_no_image_that_was_rightly_passed(
    words: list[ReviewWord], scores: list[float], line: float | str
) -> None:
    """Contract: it is as normal as a false alarm; where every verdict was right none is drawn."""
    detector = calibrated(list(np.arange(1.0, 40.0)), 0.1)
    present = detector.require_threshold()
    if isinstance(line, str):
        with pytest.raises(NoProposalError, match=line):
            _between(detector, present, reviewed(words), np.array(scores))
    else:
        made = _between(detector, present, reviewed(words), np.array(scores))
        assert made.detector.require_threshold().value == line


def test_groups_that_were_never_calibrated_get_no_line() -> None:
    """Contract: by group, a false alarm of a new group counts among images of none."""
    groups = ("a",) * 20 + ("b",) * 20
    detector = replace(plain_detector(), calibration=Calibration(np.arange(40.0), groups)).decide(
        "conformal", {"target": 0.1}, by_group=True
    )
    known = reviewed(["false_alarm"] * 2)
    images = [
        replace(each, group=name) for each, name in zip(known.images, ("a", "c"), strict=True)
    ]
    made = _conformal(
        detector,
        detector.require_threshold(),
        replace(known, images=images),
        np.array([100.0, 100.0]),
        np.ones(2, dtype=bool),
        None,
    )
    assert made.detector.require_calibrated().groups[-2:] == ("a", "")
    assert made.detector.require_threshold().by_group.keys() == {"a", "b"}


@pytest.mark.parametrize("option", [{"flips": True}, {"memory": 50}])
def test_what_rows_do_not_hold_is_not_extended(option: dict[str, Any]) -> None:
    """Contract: mirrored views and memories are refused, with what to send instead."""
    detector = plain_detector()
    options = replace(detector.spec.options, **option)
    detector = replace(detector, spec=replace(detector.spec, options=options))
    stored = cast(Any, SimpleNamespace(detector=detector, entry=SimpleNamespace(name=NAME)))
    with pytest.raises(NoProposalError, match="mode=extend"):
        asyncio.run(_extended(cast(Any, None), stored, reviewed(["false_alarm"])))
