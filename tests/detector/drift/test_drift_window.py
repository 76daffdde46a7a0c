"""The window test as a whole: what it reports of planted changes, what it refuses."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from detector.drift.promise import Promise
from detector.drift.window import WindowTest
from detector.drift.window_images import Window, WindowReference
from detector.drift.window_space import PARTS, Axes
from detector.errors import DegenerateDataError, InsufficientCalibrationError, InvalidSpecError

BLOCKS = {"b0": 30, "b1": 40, "b2": 50, "b3": 60}
CHANNELS = sum(BLOCKS.values())
MIXING = np.random.default_rng(9).normal(size=(CHANNELS, CHANNELS)) / 13


def images(seed: int, count: int) -> np.ndarray:
    """Return correlated, skewed rows of one world."""
    hidden = np.random.default_rng(seed).normal(size=(count, CHANNELS))
    rows: np.ndarray = np.exp(hidden @ MIXING / 2).astype(np.float32)
    return rows


def scores(rows: np.ndarray) -> np.ndarray:
    """Return how far rows are from the world's middle."""
    found: np.ndarray = np.sqrt(np.mean((rows - 1) ** 2, axis=1)).astype(np.float64)
    return found


def pictures(seed: int, count: int) -> np.ndarray:
    """Return brightness, contrast and sharpness."""
    return np.random.default_rng(seed).lognormal(0, 0.1, size=(count, 3)) * [120.0, 40.0, 9.0]


def reference(calibration: int = 150) -> WindowReference:
    """Return a normal state of fewer fitted rows than channels."""
    rows = images(1, calibration)
    line = float(np.quantile(scores(rows), 0.98))
    axes = Axes.of(images(0, 120))
    return WindowReference(axes, rows, scores(rows), line, BLOCKS, pictures(1, calibration))


def window(seed: int = 2, count: int = 64, rows: np.ndarray | None = None) -> Window:
    """Return a window, of nothing new unless rows are given."""
    given = images(seed, count) if rows is None else rows
    start = datetime(2026, 3, 4, 9, 40)
    return Window(
        given,
        scores(given),
        tuple(f"i{number}" for number in range(len(given))),
        tuple(start + timedelta(minutes=number) for number in range(len(given))),
        pictures(seed, len(given)),
    )


def begun(calibration: int = 150) -> WindowTest:
    """Return a test with the promise of one false alarm per 200 windows of 64."""
    return WindowTest(reference(calibration), Promise(64.0 * 200), seed=7)


def planted(columns: slice, by: float, which: slice = slice(None)) -> Window:
    """Return a window, some channels of which are raised in some images."""
    rows = images(3, 64)
    rows[which, columns] += np.float32(by)
    return window(3, rows=rows)


def test_a_window_like_the_calibration_is_none() -> None:
    """Contract: p above the level, nats near 0, no cause in the text."""
    report = begun().test(window(), 0)

    assert not report.drifted
    assert (report.images, report.level) == (64, 0.005)
    assert abs(report.excess["total"]) < report.divergence.null / 2
    assert report.divergence.directions == 17
    assert (
        report.text == f"no change seen in 64 images (p = {report.result.p:.2g}, an alarm at 0.005)"
    )
    assert report.warming_up == ""


def test_the_block_that_was_moved_is_named() -> None:
    """Contract: and its channels, the part, the sentence; with fewer fitted rows than channels."""
    report = begun().test(planted(slice(30, 70), 0.3), 0)

    assert report.drifted
    assert report.result.p == 1 / 1000
    assert report.moves.leading() == ("b1",)
    assert [each.block for each in report.moves.channels].count("b1") >= 8
    assert max(PARTS, key=lambda part: report.excess[part]) == "mean"
    assert report.text.startswith("block b1 shifted since 2026-03-04 09:40: looks like ")


def test_lighting_is_told_by_the_pictures() -> None:
    """Contract: shifted rows of brighter pictures look like lighting."""
    moved = planted(slice(30, 120), 0.3)
    assert moved.inputs is not None
    brighter = replace(moved, inputs=moved.inputs * [1.3, 1.0, 1.0])

    text = begun().test(brighter, 0).text

    assert text.startswith("blocks b1 to b2 shifted since 2026-03-04 09:40: looks like lighting")


def test_the_images_that_did_it_are_named() -> None:
    """Contract: ten, most nats first; of 12 changed ones among 64 at least eight."""
    report = begun().test(planted(slice(0, 60), 0.8, slice(0, 12)), 0)

    nats = [weight for _, weight in report.contributors]
    assert len({name for name, _ in report.contributors} & {f"i{i}" for i in range(12)}) >= 8
    assert len(nats) == 10
    assert nats == sorted(nats, reverse=True)


def test_nats_beyond_chance_are_near_none_on_average() -> None:
    """Law: over 60 references and windows of Gaussian rows, every part's mean is near 0."""
    rng, found = np.random.default_rng(0), []
    axes = Axes.of(rng.normal(size=(120, CHANNELS)))
    for number in range(60):
        rows, new = rng.normal(size=(150, CHANNELS)), rng.normal(size=(64, CHANNELS))
        known = WindowReference(axes, rows, scores(rows), 9.0, BLOCKS)
        test = WindowTest(known, Promise(6400.0), seed=0)
        report = test.test(replace(window(rows=new), inputs=None), number)
        found.append([report.excess[part] for part in (*PARTS, "total")])
        assert report.excess["total"] == pytest.approx(sum(found[-1][:3]))

    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0)) < 4 * error).all()
    assert error[3] < 0.05 * report.divergence.null


def test_an_answer_is_repeated_exactly() -> None:
    """Law: of the same reference, window, seed and number; another number draws other splits."""
    first, again, other = (begun().test(window(), number) for number in (3, 3, 4))
    assert (first.result, first.contributors) == (again.result, again.contributors)
    assert first.result != other.result


def test_few_images_are_warming_up() -> None:
    """Contract: it is said, and the test still is what it promises."""
    report = begun(40).test(window(count=20), 0)
    assert report.warming_up == (
        "warming up: 40 calibration images of 100, 20 images in the window of 50; "
        "only large changes are seen"
    )
    assert report.divergence.directions == 6
    assert begun(40).test(planted(slice(0, 60), 1.0), 0).drifted


def test_the_level_follows_from_the_promise() -> None:
    """Contract: images in the window over images per false alarm; said in windows."""
    test = WindowTest(reference(), Promise.per_days(30.0, 64.0 * 10), seed=0)
    assert test.level(64) == pytest.approx(1 / 300)
    assert "one false alarm per 300 windows of 64 images on average" in test.statement(64)
    for promise, message in (
        (64.0, "fewer images than that, got 64"),
        (64e6, "take larger windows"),
    ):
        with pytest.raises(InvalidSpecError, match=message):
            WindowTest(reference(), Promise(promise), seed=0).test(window(), 0)


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused() -> None:
    """Contract: sizes, numbers that are not finite, too few images; the message says which."""
    known, one = reference(), window()
    bad = known.rows.copy()
    bad[3, 3] = np.nan
    for changes, message in (
        ({"rows": known.rows[:, :9]}, r"150 rows of 9 channels where 180 were fitted"),
        ({"scores": known.scores[:9]}, "9 scores"),
        ({"blocks": {"b0": 9}}, "blocks of 9 channels, but 180"),
        ({"rows": bad}, "calibration: .* must be finite"),
    ):
        with pytest.raises(InvalidSpecError, match=message):
            replace(known, **changes)
    with pytest.raises(InvalidSpecError, match="64 rows, 9 ids, 64 times"):
        replace(one, ids=one.ids[:9])
    with pytest.raises(InsufficientCalibrationError, match=r"19 calibration images.*at least 20"):
        reference(19)
    with pytest.raises(DegenerateDataError, match="at least 8 images, got 7"):
        window(count=7)
    with pytest.raises(InvalidSpecError, match="rows of 9 channels where 180 were fitted"):
        begun().test(replace(one, rows=one.rows[:, :9]), 0)
    with pytest.raises(InvalidSpecError, match="pictures must be known"):
        begun().test(replace(one, inputs=None), 0)
