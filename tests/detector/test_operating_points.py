"""The table of operating points."""

import numpy as np
import pytest

from detector.calibration import Calibration, Share
from detector.errors import InvalidSpecError
from detector.operating_points import OperatingPoint, table
from detector.thresholds import choose

NINETY_NINE = np.random.default_rng(0).permutation(99).astype(float)


def test_points_are_those_of_the_conformal_threshold() -> None:
    """Reference: the threshold method, and counting."""
    anomalies = np.array([50.0, 97.5, 98.5, 200.0])

    points = table(Calibration(NINETY_NINE, anomalies=anomalies), (0.1, 0.015, 0.01))

    assert [point.threshold for point in points] == [89, 98, 98]
    for point in points:
        chosen = choose("conformal", Calibration(NINETY_NINE), {"target": point.target})
        assert point.threshold == chosen.value
        assert point.supported
    assert [point.in_sample for point in points] == [Share(9, 99), Share(0, 99), Share(0, 99)]
    assert [point.detections for point in points] == [Share(3, 4), Share(2, 4), Share(2, 4)]


def test_expected_false_alarms_are_those_that_come() -> None:
    """Law: floor(target (n + 1)) / (n + 1) of new images, on average over 4,000 calibrations."""
    rng = np.random.default_rng(1)
    for target in (0.05, 0.12):
        rates, said = [], set()
        for _ in range(4_000):
            point = table(Calibration(rng.uniform(size=49)), (target,))[0]
            assert point.threshold is not None
            rates.append(1000 * (1 - point.threshold))
            said.add(point.false_alarms_per_1000)
        error = 3 * np.std(rates) / np.sqrt(4_000)
        assert said == {1000 * np.floor(target * 50 + 1e-9) / 50}
        assert np.mean(rates) == pytest.approx(said.pop(), abs=error)


def test_targets_without_support_are_listed_with_what_they_need() -> None:
    """Contract: none is dropped, the order is kept, no number is made up."""
    points = table(Calibration(NINETY_NINE), (0.001, 0.05, 0.009))

    assert points[0] == OperatingPoint(0.001, 999)
    assert not points[0].supported
    assert points[1].supported
    assert points[1].detections is None
    assert points[2] == OperatingPoint(0.009, 111)
    assert [point.supported for point in table(Calibration(np.zeros(0)))] == [False] * 7


def test_what_is_no_target_is_refused() -> None:
    """Contract: as for a threshold."""
    with pytest.raises(InvalidSpecError, match="between 0 and 1"):
        table(Calibration(NINETY_NINE), (0.1, 0.0))
