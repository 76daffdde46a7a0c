"""The door: room in images and bytes, whole requests or none, and a wait that can be told."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import OverloadedError
from app.scoring.admission import Admission, Ticket
from app.telemetry import Telemetry


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def door(
    clock: Clock | None = None, telemetry: Telemetry | None = None, **changes: Any
) -> Admission:
    given: dict[str, Any] = {"images": 10, "total_bytes": 100, "seconds": 1.0, "enough": 4}
    return Admission(telemetry or Telemetry(), **(given | changes), clock=clock or Clock())


def come(admission: Admission, images: int = 1, size: int = 1) -> Ticket:
    """Let a request in whose body arrives at once."""
    ticket = admission.enter(size)
    ticket.hold(size)
    ticket.arrive(images)
    return ticket


def busy(admission: Admission, clock: Clock, each_s: float) -> list[Ticket]:
    """Let the door learn how long an image takes, and return six who are still inside."""
    waiting = [come(admission) for _ in range(56)]
    for _ in range(50):
        clock.now_s += each_s
        waiting.pop(0).leave(scored=True)
    return waiting


def test_bytes_are_refused_before_they_are_read() -> None:
    """Contract: what would not fit beside what is here is refused as a whole, and counted."""
    telemetry = Telemetry()
    admission = door(telemetry=telemetry)
    first = come(admission, size=60)
    with pytest.raises(OverloadedError, match="41 bytes for 40 free"):
        admission.enter(41)
    assert (admission.bytes, admission.images) == (60, 1)
    sample = telemetry.registry.get_sample_value
    assert sample("gatewatch_admitted_bytes") == 60
    assert sample("gatewatch_images_rejected_total", {"reason": "overload"}) == 1
    admission.enter(40)
    first.leave()
    admission.enter(100)


def test_what_has_not_come_keeps_nobody_out() -> None:
    """Contract: whoever announces much and sends nothing takes no place; what has come counts."""
    admission = door()
    announced = [admission.enter(100) for _ in range(50)]
    second = come(admission, size=60)
    for _ in range(4):
        announced[0].hold(10)
    with pytest.raises(OverloadedError):
        announced[0].hold(1)
    assert admission.bytes == 100
    second.leave()
    announced[0].hold(60)
    for ticket in announced:
        ticket.leave()
    assert (admission.images, admission.bytes, admission.requests) == (0, 0, 0)


def test_images_are_let_in_whole_or_not_at_all() -> None:
    """Contract: of a form with more images than there is room for none is taken."""
    admission = door()
    come(admission, images=6)
    form = admission.enter(1)
    with pytest.raises(OverloadedError, match=r"5 image.* for 4 free"):
        form.arrive(5)
    form.leave()
    assert admission.images == 6
    come(admission, images=4)
    with pytest.raises(OverloadedError, match=r"1 image.* for 0 free"):
        admission.enter(1)


def test_who_would_wait_too_long_is_refused_with_the_time(clock: Clock) -> None:
    """Contract: at 0.4 s an image, six before it are 2.4 s, of which 1 s is allowed."""
    admission = door(clock, images=100)
    waiting = busy(admission, clock, 0.4)
    with pytest.raises(OverloadedError, match=r"would wait 2\.4 s") as refused:
        admission.enter(1)
    assert refused.value.retry_after_s == math.ceil(2.4 - 1.0)
    for ticket in waiting[:4]:  # two are left: 0.8 s
        ticket.leave()
    come(admission)


def test_a_deadline_that_cannot_be_kept_is_refused(clock: Clock) -> None:
    """Contract: 0.1 s an image, six before it, and one of its own."""
    admission = door(clock, images=100)
    busy(admission, clock, 0.1)
    with pytest.raises(OverloadedError, match="repeat it later, or give it more time"):
        admission.enter(1, timeout_s=0.69)
    admission.enter(1, timeout_s=0.71)


def test_an_idle_service_refuses_nobody_for_time(clock: Clock) -> None:
    """Contract: it may be faster than it was, and how would that be learned."""
    admission = door(clock, images=100)
    for ticket in busy(admission, clock, 100.0):
        ticket.leave()
    admission.enter(1, timeout_s=0.001)


def test_single_images_do_not_make_it_slow(clock: Clock) -> None:
    """Contract: a few who come one after the other say nothing of how long many would take."""
    admission = door(clock)
    for _ in range(50):
        ticket = come(admission)
        clock.now_s += 10.0
        ticket.leave(scored=True)
    for _ in range(9):
        come(admission)
    admission.enter(1, timeout_s=0.001)


@pytest.mark.parametrize("together", [1, 2])
def test_a_slow_time_is_forgotten(clock: Clock, together: int) -> None:
    """Contract: however few are let in because of it, they show that it has passed."""
    admission = door(clock, images=100)
    for ticket in busy(admission, clock, 0.9):
        ticket.leave()
    for _ in range(100):
        tickets = [come(admission) for _ in range(together)]
        for ticket in tickets:
            clock.now_s += 0.01
            ticket.leave(scored=True)
    for _ in range(20):
        come(admission)
    admission.enter(1, timeout_s=1.0)


def test_what_was_not_scored_teaches_nothing(clock: Clock) -> None:
    """Contract: a thousand answers of 404 in no time do not make images fast."""
    admission = door(clock, images=1000)
    waiting = busy(admission, clock, 0.1)
    for _ in range(100):
        come(admission, images=500).leave()
    with pytest.raises(OverloadedError):
        admission.enter(1, timeout_s=0.69)
    assert len(waiting) == 6


def test_a_ticket_is_given_back_once() -> None:
    """Law: leaving twice is leaving once."""
    admission = door()
    ticket = come(admission, images=3, size=30)
    ticket.leave(scored=True)
    ticket.leave()
    assert (admission.images, admission.bytes, admission.requests) == (0, 0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "arrive", "hold", "leave"]),
            st.integers(0, 5),
            st.integers(1, 40),
        )
    )
)
def test_nothing_is_lost_and_nothing_overflows(steps: list[tuple[str, int, int]]) -> None:
    """Law: whoever comes and goes, what is held is what is inside, and within the limits."""
    admission, inside = door(), list[Ticket]()
    for what, which, amount in steps:
        ticket = inside[which % len(inside)] if inside else None
        try:
            if what == "enter":
                inside.append(admission.enter(amount))
            elif ticket is not None and what == "arrive" and not ticket.has_arrived:
                ticket.arrive(amount)
            elif ticket is not None and what == "hold":
                ticket.hold(amount)
            elif ticket is not None and what == "leave":
                inside.remove(ticket)
                ticket.leave(scored=which % 2 == 0)
        except OverloadedError:
            pass
        assert admission.images == sum(each.images for each in inside) <= 10
        assert admission.bytes == sum(each.size for each in inside) <= 100
        assert admission.requests == sum(each.has_arrived for each in inside)


def test_what_is_unpacked_counts_in_place_of_what_has_come() -> None:
    """Contract: as soon as it is more; refused beside others, never alone; all is given back."""
    admission = door()
    first, second = come(admission, size=30), come(admission, size=30)
    first.unpack(20)
    assert admission.bytes == 60
    first.unpack(70)
    assert admission.bytes == 100
    with pytest.raises(OverloadedError, match="1 bytes for 0 free"):
        second.unpack(31)
    second.leave()
    first.unpack(100)
    assert admission.bytes == 100
    first.leave()
    first.unpack(200)  # by a thread that has not heard yet
    assert admission.bytes == 0


def test_threads_that_unpack_lose_no_byte() -> None:
    """Law: however many at once, what is held is given back, and never too much is held."""
    admission = door(total_bytes=1000)
    refused = []

    def unpack() -> None:
        for _ in range(300):
            ticket = admission.enter()
            try:
                for size in range(0, 400, 7):
                    ticket.unpack(size)
                    assert admission.bytes <= 1000
            except OverloadedError:
                refused.append(1)
            ticket.leave()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(unpack) for _ in range(4)]:
            done.result()
    assert admission.bytes == 0
