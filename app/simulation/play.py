"""A script played at the service, picture by picture at a steady rate, and what was noticed.

Pictures that are due go in one request, so that the rate holds even where it is more than one
request at a time could keep up with. Their order is the script's, however they are sent.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.simulation.pictures import Pictures, jpeg
from app.simulation.script import Act, Phase, shown
from app.simulation.subject import Alarm, Standing, Subject

MOST_AT_ONCE = 16
LOOK_S = 0.5
"""How often the monitors are asked how they stand."""
LEAST_BASELINE, MOST_BASELINE = 20, 2000


@dataclass(slots=True)
class Played:
    """What came of a phase: ``begins`` is the number of its first image, as alarms count them."""

    phase: Phase
    begins: int
    images: int = 0
    flagged: int = 0
    alarms: list[Alarm] = field(default_factory=list)

    def after(self, alarm: Alarm) -> int:
        """Return how many images of the phase it took."""
        return alarm.image_number - self.begins + 1


Seen = Callable[[Played, Standing, Sequence[Alarm]], None]
"""Told of every look at the monitors: of the phase so far, how they stand, and new alarms."""


class Player:
    """Plays at one detector; every picture of a seed is the same, at any rate."""

    def __init__(
        self, subject: Subject, pictures: Pictures, seed: int, rate: float, seen: Seen
    ) -> None:
        self._subject, self._pictures, self._seed = subject, pictures, seed
        self._rate, self._seen = rate, seen
        self.played: list[Played] = []

    def play(self, acts: Sequence[Act]) -> None:
        """Play all; what came of each phase is in ``played``, also of one that was broken off."""
        for act in acts:
            self._phase(act.before)
            if act.change:
                if self.played[-1].alarms:  # false ones; while they stand no other can be raised
                    self._subject.acknowledge()
                self._phase(act.change)
                self._subject.acknowledge()
            if act.after:
                self._phase(act.after)
                images = min(max(act.after.images, LEAST_BASELINE), MOST_BASELINE)
                self._subject.rebaseline(images)

    def _phase(self, phase: Phase) -> None:
        standing = self._subject.standing()
        played = Played(phase, standing.images)
        self.played.append(played)
        start_s = looked_s = time.monotonic()
        while played.images < phase.images:
            due = 1 + int((time.monotonic() - start_s) * self._rate) - played.images
            if due < 1:
                time.sleep(max(0.0, start_s + played.images / self._rate - time.monotonic()))
                continue
            numbers = range(played.images, min(played.images + due, phase.images))[:MOST_AT_ONCE]
            files = [jpeg(shown(phase, i, self._pictures, self._seed)) for i in numbers]
            played.flagged += self._subject.score(files)
            played.images += len(files)
            if time.monotonic() - looked_s >= LOOK_S or played.images == phase.images:
                self._look(played)
                looked_s = time.monotonic()

    def _look(self, played: Played) -> None:
        standing = self._subject.standing()
        new = [
            each
            for each in standing.alarms
            if each.image_number >= played.begins and each not in played.alarms
        ]
        played.alarms += new
        self._seen(played, standing, new)
