"""A job's events: taken up where a stream broke, in any pieces, and never without an end."""

import pytest
from client_helpers import both
from flaky_server import BUSY, CUT, JOB, Said, event, flaky

import gatewatch
from gatewatch import Retries
from gatewatch.following import Following
from gatewatch.jobs import Events

FAST = Retries(most=5, within_s=20, first_s=0.01, most_s=0.02)


class Clock:
    """Seconds that pass when they are told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_events_go_on_where_a_stream_broke(kind: str) -> None:
    """Law: every event once, whatever breaks in between; the id of the last is sent along."""
    ends = event(3, state="succeeded", images_done=2)
    kinds = {"Content-Type": "text/event-stream"}
    half = Said(200, event(1) + event(2)[:60], kinds | {"Content-Length": "9999"})
    with flaky(half, Said(CUT), BUSY, Said(200, event(2) + ends, kinds)) as server:
        for client in both(kind, server.url, retries=FAST):
            told = client.events("1" * 32)
            assert [info.state for info in told] == ["running", "running", "succeeded"]
        last = [asked.headers.get("last-event-id") for asked in server.asked]
        assert last == [None, "1", "1", "1"]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_events_come_in_any_pieces(size: int) -> None:
    """Law: how a stream is cut makes no difference; line separators of Unicode are letters."""
    content = event(1, detector="a\u2028b") + event(2, state="succeeded")
    events = Events()
    found = [
        info
        for start in range(0, len(content), size)
        for info in events.feed(content[start : start + size])
    ]
    assert [info.detector for info in found] == ["a\u2028b", "n"]
    assert (events.last, events.ended) == ("2", True)


def test_signs_of_life_begin_the_tries_anew() -> None:
    """Law: a stream that was quiet for long, but alive, has all its tries when it breaks."""
    clock = Clock()
    following = Following(FAST, JOB["id"], None, clock)

    def fail() -> None:
        following.failed(OSError("gone"), sent=True, passing=True)

    following.begin()
    fail()
    clock.now_s = FAST.within_s + 1
    following.begin()
    assert list(following.feed(b": ping\n\n")) == []
    with pytest.raises(gatewatch.ServerUnreachableError):  # one that comes at once proves little
        fail()
    clock.now_s += 15
    assert list(following.feed(b": ping\n\n")) == []
    fail()


@pytest.mark.parametrize("kinds", [{}, {"Content-Type": "text/html"}], ids=["json", "html"])
def test_an_answer_without_events_is_told(kind: str, kinds: dict[str, str]) -> None:
    """Contract: 200 from somebody else, or from a proxy's page, ends the waiting."""
    with flaky(Said(200, event(1), kinds)) as server:
        for client in both(kind, server.url, retries=FAST):
            with pytest.raises(gatewatch.UnexpectedAnswerError, match="text/event-stream"):
                client.events("1" * 32)
        assert len(server.asked) == 1


def test_streams_that_end_without_an_event_are_counted(kind: str) -> None:
    """Law: so the waiting ends."""
    empty = Said(200, b": alive\n\n", {"Content-Type": "text/event-stream; charset=utf-8"})
    with flaky(empty) as server:
        for client in both(kind, server.url, retries=FAST):
            with pytest.raises(gatewatch.ServerUnreachableError, match="after 6 tries"):
                client.events("1" * 32)
        assert len(server.asked) == 6


def test_a_silent_job_is_followed_through_streams_that_are_ended() -> None:
    """Law: servers that end streams before any sign of life are no failures, however many."""
    clock = Clock()
    following = Following(Retries(), JOB["id"], "5", clock)
    for _ in range(100):
        following.begin()
        clock.now_s += 9.0
        following.end()
        clock.now_s += following.pause_s
    following.begin()
    (info,) = following.feed(event(6, state="succeeded"))
    assert info.state == "succeeded"
    assert following.ended
