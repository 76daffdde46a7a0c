"""What the past would have looked like, and what would be seen of a change, as the client asks."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from tqdm import tqdm

from app.commands.common import answer
from app.commands.lines import line_of
from app.commands.local.base import Base, LocalJob
from app.learning.collecting import Progress
from app.monitoring.power import outlook
from app.past.drifting import replay_drift
from app.past.replay import replay, size
from app.schemas.drift_power import PowerInfo, changes
from app.schemas.drift_replay import DriftReplayInfo
from app.schemas.replay import ReplayInfo
from gatewatch import answers

F = TypeVar("F")
R = TypeVar("R")


class Past(Base):
    """Replay, replay of drift, power."""

    def replay(
        self, name: str, *, threshold: answers.NewThreshold | None, **how: Any
    ) -> LocalJob[answers.ReplayInfo]:
        """Judge the past again by another version, scorer or threshold; nothing is changed."""
        line = None if threshold is None else line_of(threshold)
        again = partial(replay, self._service, name, threshold=line, **how)
        return self._over(
            again, lambda found: answer(answers.ReplayInfo, ReplayInfo.of(found)), name, **how
        )

    def replay_drift(self, name: str, **how: Any) -> LocalJob[answers.DriftReplayInfo]:
        """Tell which alarms of drift there would have been over what was scored."""
        again = partial(replay_drift, self._service, name, **how)
        return self._over(
            again,
            lambda found: answer(answers.DriftReplayInfo, DriftReplayInfo.of(found)),
            name,
            **how,
        )

    def power(
        self, name: str, *, shift: float | None, spread: float | None, **how: Any
    ) -> answers.PowerInfo:
        """Say after how many images changes of the traffic would be noticed."""
        asked = changes(shift, spread)
        with tqdm(total=len(asked), unit="change", desc="power") as bar:
            found = outlook(self._service, name, changes=asked, progress=bar.update, **how)
            return answer(answers.PowerInfo, PowerInfo.of(self._wait(found)))

    def _over(
        self,
        again: Callable[..., Awaitable[F]],
        told: Callable[[F], R],
        name: str,
        *,
        since: datetime | None,
        until: datetime | None,
        **_: Any,
    ) -> LocalJob[R]:
        def run(progress: Progress, _expect: Progress) -> R:
            return told(self._wait(again(progress=progress)))

        return LocalJob(run, self._wait(size(self._service, name, since, until)))
