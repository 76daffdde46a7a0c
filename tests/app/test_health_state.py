"""Health: canaries when nothing else proves it, what is stuck, what has died, what that says."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from batching_helpers import run, until

from app.errors import OverloadedError, UnavailableError
from app.health import state
from app.health.canary import Canary
from app.health.heartbeats import Heartbeats, Stage, ThreadEndedError
from app.health.state import HOPELESS, Health
from app.telemetry import Telemetry

PATIENCE_S = 1000.0


class Bird:
    """A canary that does what it is told."""

    def __init__(self, heartbeats: Heartbeats) -> None:
        self.sent = 0
        self.error: Exception | None = None
        self._heartbeats = heartbeats

    async def send(self, *, judged: bool = True) -> None:
        """Arrive, or fail."""
        self.sent += 1
        if self.error is not None:
            raise self.error
        self._heartbeats.proved()


class Cage:
    """Health around such a canary."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.heartbeats = Heartbeats()
        self.bird = Bird(self.heartbeats)
        self.embedding = True
        self.health = Health(
            self.heartbeats, cast(Canary, self.bird), patience_s, lambda: self.embedding
        )

    def since(self, seconds: float) -> None:
        """Let the last image have gone through so long ago."""
        self.heartbeats.proved_s = time.monotonic() - seconds


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    assert state.RETRY_S <= 1  # or what has healed would not be ready within two seconds
    monkeypatch.setattr(state, "RETRY_S", 0.01)


@pytest.fixture
def cage() -> Cage:
    return Cage()


def test_not_ready_before_it_is_warm(cage: Cage) -> None:
    """Contract: the canary of the start makes it ready; one that fails stops the start."""

    async def test() -> None:
        assert cage.health.why_not_ready() == ["starting or stopping"]
        assert cage.health.why_not_alive() == []
        cage.bird.error = UnavailableError("no")
        with pytest.raises(UnavailableError):
            await cage.health.warm_up()
        assert not cage.health.warm
        cage.bird.error = None
        await cage.health.warm_up()
        assert cage.health.why_not_ready() == []

    run(test())


@pytest.mark.parametrize(("idle_s", "sent"), [(0.1, 0), (PATIENCE_S * 0.4, 0), (PATIENCE_S, 1)])
def test_a_canary_is_sent_only_when_nothing_else_came(cage: Cage, idle_s: float, sent: int) -> None:
    """Contract: traffic that goes through is proof enough; else one canary, and it is ready."""

    async def test() -> None:
        await cage.health.warm_up()
        cage.since(idle_s)
        async with cage.health.watching():
            await asyncio.sleep(0.1)
        assert cage.bird.sent == 1 + sent
        assert cage.health.why_not_ready() == []

    run(test())


def test_what_nothing_proves_is_not_ready(cage: Cage) -> None:
    """Contract: silence is no proof."""

    async def test() -> None:
        await cage.health.warm_up()
        cage.since(PATIENCE_S + 1)
        assert cage.health.why_not_ready() == ["no image has gone through lately"]

    run(test())


def test_a_doubt_is_settled_at_once_and_again_until_it_is_well(cage: Cage) -> None:
    """Contract: a canary that fails says so whatever else goes through, until one does not."""

    async def test() -> None:
        await cage.health.warm_up()
        async with cage.health.watching():
            cage.bird.error = RuntimeError("secret")
            cage.heartbeats.doubt()
            await until(cage.health.why_not_ready)
            assert cage.health.why_not_ready() == ["an image of our own failed: RuntimeError"]
            cage.heartbeats.proved()
            assert cage.health.why_not_ready()
            failed = cage.bird.sent
            await until(lambda: cage.bird.sent > failed + 3)  # it is tried again and again
            cage.bird.error = None
            await until(lambda: not cage.health.why_not_ready())

    run(test())


def test_no_room_for_a_canary_says_nothing(cage: Cage) -> None:
    """Contract: those in its place go through, and prove it."""

    async def test() -> None:
        await cage.health.warm_up()
        async with cage.health.watching():
            cage.bird.error = OverloadedError("full", 1)
            cage.heartbeats.doubt()
            await until(lambda: cage.bird.sent > 1)
            assert cage.health.why_not_ready() == []

    run(test())


def test_a_canary_that_takes_too_long_is_a_failure() -> None:
    """Contract: it has half of the patience; it is not waited for, and sent again."""
    cage = Cage(patience_s=0.2)

    async def never(*, judged: bool = True) -> None:
        await asyncio.sleep(60)

    async def test() -> None:
        await cage.health.warm_up()
        cage.bird.send = never  # type: ignore[method-assign]
        async with cage.health.watching():
            slow = "an image of our own took more than 0.1 s"
            await until(lambda: slow in cage.health.why_not_ready())

    run(test())


def test_a_stage_is_stuck_if_one_of_its_calls_is(cage: Cage) -> None:
    """Contract: others that go on beside it hide nothing; after long enough nothing else helps."""
    now = time.monotonic()

    async def test() -> None:
        await cage.health.warm_up()
        for stage in cage.heartbeats.stages:
            late = stage.scores
            stage._begun["hung"] = now - PATIENCE_S - 1
            with stage.call():
                pass
            assert any(stage.name in why for why in cage.health.why_not_ready()) == late
            assert cage.health.why_not_alive() == []
            stage._begun["hung"] = now - HOPELESS * PATIENCE_S - 1
            assert any(stage.name in why for why in cage.health.why_not_alive()) == late
            del stage._begun["hung"]
            assert cage.health.why_not_ready() == []

    run(test())


def test_a_batcher_that_is_gone_is_no_life(cage: Cage) -> None:
    """Contract: neither ready nor alive."""

    async def test() -> None:
        await cage.health.warm_up()
        cage.embedding = False
        assert cage.health.why_not_alive() == ["device: nothing can be embedded any more"]
        assert cage.health.why_not_ready() == cage.health.why_not_alive()

    run(test())


def test_no_task_ends_without_a_word(cage: Cage, caplog: pytest.LogCaptureFixture) -> None:
    """Contract: an error is told to log and probe; being stopped is none."""

    async def fails() -> None:
        raise ValueError("secret")

    async def test() -> None:
        stopped = asyncio.create_task(asyncio.sleep(60))
        failing, ending = asyncio.create_task(fails()), asyncio.create_task(asyncio.sleep(0))
        for name, task in (("stopped", stopped), ("history", failing), ("ending", ending)):
            cage.heartbeats.watch(cast(Any, task), name)
        stopped.cancel()
        await asyncio.gather(stopped, failing, ending, return_exceptions=True)
        await asyncio.sleep(0)
        assert cage.health.why_not_alive() == ["history: it ended by ValueError"]

    run(test())
    assert "history has ended" in caplog.text
    assert "secret" in caplog.text


def _raise(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_a_thread_is_an_error(error: BaseException) -> None:
    """Contract: of the call alone; the stage counts it as ended."""
    stage = Stage("decode", scores=True)
    with pytest.raises(ThreadEndedError, match="decode"):
        stage.run(_raise(error))
    assert stage.calls == 0
    with pytest.raises(ValueError, match="as it is"):
        stage.run(_raise(ValueError("as it is")))


def test_stages_are_seen_while_they_work() -> None:
    """Contract: the series say how many calls are under way and when one last ended."""
    telemetry = Telemetry()
    heartbeats = Heartbeats(telemetry)
    sample = telemetry.registry.get_sample_value
    labels = {"stage": "decode"}
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert leave.wait(30)

    thread = threading.Thread(target=heartbeats.decode.run, args=[work])
    heartbeats.decode.progress_at = 1.0
    thread.start()
    assert entered.wait(30)
    progress = "gatewatch_stage_last_progress_timestamp_seconds"
    assert sample("gatewatch_stage_calls", labels) == 1
    assert sample(progress, labels) == 1.0
    assert heartbeats.decode.longest_s > 0
    leave.set()
    thread.join()
    assert sample("gatewatch_stage_calls", labels) == 0
    assert (sample(progress, labels) or 0) > 1.0
    assert sample("gatewatch_stage_calls", {"stage": "history"}) == 0
