"""The token buckets: no more than promised, no less than promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from key_helpers import Clock

from app.access import rate_limit
from app.access.rate_limit import RateLimits
from app.errors import TooManyRequestsError


def allowed(limits: RateLimits, key: str, per_minute: int) -> bool:
    try:
        limits.take(key, per_minute)
    except TooManyRequestsError:
        return False
    return True


@given(
    per_minute=st.integers(1, 200),
    pauses=st.lists(st.sampled_from([0.0, 0.25, 1.0, 7.5, 45.0, 200.0]), max_size=120),
)
def test_it_is_a_token_bucket(per_minute: int, pauses: list[float]) -> None:
    """Reference: a bucket that is counted in tokens decides the same on any arrivals."""
    clock = Clock()
    limits = RateLimits(clock)
    tokens = float(per_minute)
    for pause_s in pauses:
        clock.s += pause_s
        tokens = min(per_minute, tokens + pause_s * per_minute / 60)
        expected = tokens >= 1 - 1e-6
        assert allowed(limits, "a", per_minute) == expected
        tokens -= expected


@pytest.mark.parametrize("per_minute", [1, 3, 7, 60, 999, 1_000_000])
def test_a_minutes_worth_passes_at_once_and_then_evenly(per_minute: int) -> None:
    """Law: whatever the limit, rounding neither takes a request nor gives one."""
    clock = Clock()
    limits = RateLimits(clock)
    most = min(per_minute, 2000)
    clock.s += 0.1
    assert all(allowed(limits, "a", per_minute) for _ in range(most))
    if most == per_minute:
        assert not allowed(limits, "a", per_minute)
        clock.s += 60 / per_minute
        assert allowed(limits, "a", per_minute)
        assert not allowed(limits, "a", per_minute)


@pytest.mark.parametrize("per_minute", [1, 7, 60, 100])
def test_who_waits_as_told_passes(per_minute: int) -> None:
    """Contract: whole seconds, at least one, and enough; the message says them too."""
    clock = Clock()
    limits = RateLimits(clock)
    while allowed(limits, "a", per_minute):
        pass
    with pytest.raises(TooManyRequestsError) as caught:
        limits.take("a", per_minute)
    wait_s = caught.value.retry_after_s
    assert wait_s == max(1, -(-60 // per_minute))
    assert f"{wait_s} s" in str(caught.value)
    clock.s += wait_s
    assert allowed(limits, "a", per_minute)


def test_keys_do_not_pay_for_each_other() -> None:
    """Law: one key's empty bucket is no other's."""
    limits = RateLimits(Clock())
    assert allowed(limits, "a", 1)
    assert not allowed(limits, "a", 1)
    assert allowed(limits, "b", 1)


def test_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: memory is bounded by the keys of one minute; what is not full stays counted."""
    monkeypatch.setattr(rate_limit, "MOST_BUCKETS", 10)
    clock = Clock()
    limits = RateLimits(clock)
    for number in range(100):
        clock.s += 61 if number % 5 == 0 else 0
        assert allowed(limits, f"key {number}", 1)
        assert not allowed(limits, f"key {number}", 1)
        assert len(limits._full_at_s) <= 10
