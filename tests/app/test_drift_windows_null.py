"""The windows' promise on the service's own path: kept rows, filling, testing, with defects."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jaxtyping
import numpy as np
import pytest
from history_helpers import NAME, Line, line
from scipy.stats import kstest
from watch_helpers import watched

from app.monitoring.monitor import Monitor
from app.monitoring.notes import Image, Monitored, Reference
from app.monitoring.references import References
from app.monitoring.testing import WindowTester
from app.monitoring.windows import far_apart, full_of
from detector.drift import window
from detector.drift.promise import Promise
from detector.errors import InvalidSpecError

AT = datetime(2026, 3, 4, 9, 40, tzinfo=UTC)
CHANNELS, SIZE, KNOWN, REPEATS = 18, 32, 60, 120
LINE = 14.0


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Test windows by the hundred without the checks of array shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A service with a detector that was calibrated."""
    with line(tmp_path_factory.mktemp("null") / "data") as running:
        watched(running)
        yield running


def images(
    monitor: Monitor, rng: np.random.Generator, count: int, defects: float, shift: float = 0.0
) -> list[Monitored]:
    """Show a monitor skewed images of which this share is odd, above the line and elsewhere.

    Return those that are left of them.
    """
    squeeze = rng.gamma(2, size=(count, CHANNELS)) * rng.gamma(4, 0.25, size=(count, 1)) + shift
    scores = 2 + squeeze.mean(axis=1)
    odd = rng.random(count) < defects
    squeeze[odd] += 5
    scores[odd] += 20
    ids = [f"i{i}" for i in range(count)]
    rows = squeeze.astype(np.float32)
    looks = rng.lognormal(0, 0.1, size=(count, 3)).tolist()
    every = zip(ids, scores.tolist(), looks, strict=True)
    shown = [Image(name, AT, score, look, squeezed=True) for name, score, look in every]
    return [
        Monitored(number, ids[place], AT, float(scores[place]), tuple(looks[place]), rows[place])
        for place, number in monitor.take(shown).numbers.items()
    ]


def p_values(bolts: Line, defects: float, shift: float = 0.0) -> np.ndarray:
    """Return those of many windows, each against a reference of its own that was kept."""
    service = bolts.service
    stored = service.storage.versions.get(NAME)
    references = References(service.storage, {"early": 6, "late": 12})
    tester = WindowTester(references)
    found = []
    for repeat in range(REPEATS):
        rng = np.random.default_rng([repeat, 3])
        monitor = Monitor.begun(stored, Promise(1000.0), AT + timedelta(hours=repeat))
        monitor.state.line = LINE
        every = round(monitor.state.thinning.every)
        before = images(monitor, rng, KNOWN * every, defects)
        blob = references.keep(stored, far_apart(before, 0, 1), LINE)
        monitor.reference = made(monitor, blob, repeat)
        monitor.decide("")
        now = images(monitor, rng, 2 * SIZE * every, defects, shift)
        waiting = monitor.windows.waiting[0]
        full = full_of(stored, monitor, waiting, now)
        assert tester.submit(full)
        tester.settle()
        (answered,) = tester.fetch()
        assert answered.said is not None, answered
        found.append(answered.said.p_value)
    tester.stop()
    return np.array(found)


def made(monitor: Monitor, blob: str, repeat: int) -> Reference:
    """Return a baseline of traffic since another moment."""
    return replace(monitor.reference, of="traffic", blob=blob, at=AT + timedelta(days=repeat))


@pytest.mark.parametrize("defects", [0.0, 0.1])
def test_p_values_are_uniform_with_and_without_defects(
    bolts: Line, monkeypatch: pytest.MonkeyPatch, defects: float
) -> None:
    """Law: by Kolmogorov's test over 120 references and windows; defects are not drift."""
    monkeypatch.setattr(window, "WINDOW_IMAGES", SIZE)
    p = p_values(bolts, defects)
    assert kstest(p, "uniform").pvalue > 0.01
    for level in (0.02, 0.1):
        assert np.mean(p <= level) <= level + 3 * np.sqrt(level / REPEATS)


def test_a_shift_of_what_is_below_the_line_is_seen(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: so the law above says something."""
    monkeypatch.setattr(window, "WINDOW_IMAGES", SIZE)
    assert np.median(p_values(bolts, 0.1, shift=0.7)) < 0.01


def test_the_size_follows_from_the_promise() -> None:
    """Contract: long promises take larger windows, and there is an end to both."""
    assert window.window_size(Promise(70_000.0)) == 128
    assert window.window_size(Promise(7_000_000.0)) == 700
    assert window.window_size(Promise(70_000_000.0)) == 1000
    for images_per_alarm in (100.0, 1e9):
        with pytest.raises(InvalidSpecError, match="windows"):
            window.window_size(Promise(images_per_alarm))
