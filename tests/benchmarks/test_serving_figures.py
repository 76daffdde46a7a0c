"""The arithmetic of the serving benchmark."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.serving import claims, figures, soak
from benchmarks.serving.load import Measured, Plan, Sample


def test_a_summary_by_hand() -> None:
    """Reference: rates by when answers came, latencies by when requests were due."""
    samples = [
        Sample(0.5, 0.1, 200, False),  # before the first tenth is over
        Sample(2.0, 0.1, 200, False),
        Sample(3.0, 0.3, 200, False),
        Sample(4.0, 0.002, 503, True),
        Sample(5.0, 0.004, 503, False),
        Sample(9.5, 2.0, 200, False),  # due in time, answered after the end
        Sample(6.0, 0.1, 500, False),
    ]
    found = figures.summary(Measured(samples, cpu_s=1.0, stolen_s=2.0, wall_s=10.0), 10.0)
    assert found.offered_per_s == pytest.approx(6 / 9)
    assert found.served_per_s == pytest.approx(2 / 9)
    assert found.refused_per_s == pytest.approx(2 / 9)
    assert found.broken == 1
    assert found.p50_ms == pytest.approx(300)
    assert found.p99_ms == pytest.approx(1e3 * np.percentile([0.1, 0.3, 2.0], 99))
    assert found.refusal_p50_ms == pytest.approx(3)
    assert found.retry_after_share == pytest.approx(0.5)
    assert found.generator_cores == pytest.approx(0.1)
    assert found.stolen_cores == pytest.approx(0.2)


def test_nothing_served_has_no_latency() -> None:
    """Contract: None, not zero."""
    found = figures.summary(Measured([], cpu_s=0.0, wall_s=1.0), 1.0)
    assert (found.p50_ms, found.refusal_p50_ms, found.retry_after_share) == (None, None, None)
    assert found.served_per_s == 0


def test_recovery_is_when_all_are_served_fast_again() -> None:
    """Reference: a fast answer between slow ones or refusals is no recovery."""
    after = [
        Sample(10.1, 0.05, 200, False),
        Sample(10.2, 3.0, 200, False),
        Sample(13.3, 0.01, 503, True),
        Sample(13.5, 0.05, 200, False),
        Sample(13.6, 0.05, 200, False),
    ]
    assert figures.recovery_s(after, 10.0, 0.1) == pytest.approx(3.5)
    assert figures.recovery_s(after[:3], 10.0, 0.1) is None
    assert figures.recovery_s([], 10.0, 0.1) is None


def test_medians_are_of_the_rounds_that_have_a_figure() -> None:
    """Reference: the middle one; None only if no round has any."""
    rounds: list[dict[str, figures.Summary | figures.Figures]] = [
        {"load": {"rate": 3.0, "p99": None, "none": None}},
        {"load": {"rate": 1.0, "p99": 5.0, "none": None}, "once": {"ratio": 2.0}},
        {"load": {"rate": 2.0, "p99": 7.0, "none": None}},
    ]
    expected = {"load": {"rate": 2.0, "p99": 6.0, "none": None}, "once": {"ratio": 2.0}}
    assert figures.medians(rounds) == expected


def test_a_round_that_never_recovered_took_for_ever() -> None:
    """Law: it is not left out, or the worst round would better the median."""

    def median(*took_s: float | None) -> float | None:
        return figures.medians([{"open": {"recovery_s": s}} for s in took_s])["open"]["recovery_s"]

    assert median(1.0, None, 2.0) == 2.0
    assert median(1.0, None, None) is None
    assert median(1.0, None) is None


def test_growth_is_the_slope_of_the_second_half() -> None:
    """Reference: NumPy's least squares; how it begins does not matter."""
    rng = np.random.default_rng(0)
    at_s = np.arange(0.0, 610.0, 10.0)
    mib = 300 + 0.05 * at_s + rng.normal(0, 1, at_s.size)
    late = at_s >= 300
    slope = float(np.polyfit(at_s[late], mib[late], 1)[0])
    mib[~late] *= at_s[~late] / 300

    seen = list(zip(at_s.tolist(), mib.tolist(), strict=True))
    assert figures.growth_per_minute(seen) == pytest.approx(60 * slope)
    assert figures.growth_per_minute(seen[:1]) is None
    assert figures.growth_per_minute([]) is None


def test_a_soak_is_watched_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: memory is looked at from the beginning to the end, and has a wish in the report."""
    mib = [100]

    def rss_bytes() -> int:
        mib.append(mib[-1] + 1)
        return mib[-2] * 2**20

    server = SimpleNamespace(port=1, rss_bytes=rss_bytes)

    def generate(plan: Plan) -> Measured:
        assert (plan.rate, plan.seconds) == (50.0, 6.0)
        while len(mib) < 8:  # it is looked at by another thread
            time.sleep(0.01)
        return Measured([Sample(1.0, 0.1, 200, False)], wall_s=1.0)

    monkeypatch.setattr(soak, "generate", generate)
    monkeypatch.setattr(soak, "EVERY_S", 0.01)
    found = soak.measured(server, [], 50.0, 0.1)  # type: ignore[arg-type]
    grown = found["rss_growth_mib_per_minute"]
    assert grown is not None
    assert grown > 0
    assert found["rss_growth_mib"] is not None
    assert found["rss_growth_mib"] >= 2
    (judged,) = claims.judged([{soak.NAME: found}])
    assert judged.claim.name == "memory grown a minute, 0.1 minutes at 1000 %, MiB"
    assert (judged.median, judged.passed) == (grown, False)


def test_ratios_of_nothing_are_nothing() -> None:
    """Contract: neither a missing figure nor a zero ends a report."""
    assert figures.ratio(3.0, 2.0) == 1.5
    assert figures.ratio(None, 2.0) is None
    assert figures.ratio(3.0, None) is None
    assert figures.ratio(3.0, 0.0) is None
