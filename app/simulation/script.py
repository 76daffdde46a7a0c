"""What is played: phases of normal and changed traffic, and what should be noticed in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.simulation import changes
from app.simulation.drawing import Pixels
from app.simulation.pictures import Part, Pictures

Change = Literal["normal", "defects", "lighting", "blur", "product"]
Scene = Literal["normal", "defects", "lighting", "blur", "product", "tour"]
HIGHEST_RATE = 0.5
"""Share of images with a defect in the end."""
FULL_AT: Mapping[str, float] = {"defects": 0.2, "lighting": 0.7, "blur": 0.7}
"""Share of a phase after which a change is complete, and stays. Defects that become more slowly are
taken in among the scores that ``rate`` compares with, and may hide there."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens in a phase, in words, and which monitors should notice it: one will do.

    ``silent`` are those whose promise holds on, for what happens is not theirs to see.
    """

    words: str
    noticed_by: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


EFFECTS: Mapping[Change, Effect] = {
    "normal": Effect("normal traffic"),
    "defects": Effect("more and more defects", ("rate",), ("bulk", "frozen")),
    "lighting": Effect("a lamp that slowly fails", ("input",)),
    "blur": Effect("a lens that goes out of focus", ("input",)),
    "product": Effect("another product", ("rate", "bulk", "input")),
}


@dataclass(frozen=True, slots=True)
class Phase:
    """Images in a row; ``judged``: whether an alarm in normal traffic is a false one here.

    It is none when a change ends: that is a change, too.
    """

    change: Change
    images: int
    first: int
    """Number of its first picture among those of its part."""
    judged: bool = True

    @property
    def effect(self) -> Effect:
        """What happens in it."""
        return EFFECTS[self.change]


@dataclass(frozen=True, slots=True)
class Act:
    """A change and what surrounds it: normal traffic before, and after it where more acts follow.

    After the change its alarms are acknowledged; after the traffic is normal again, those of that,
    and its last images become the baseline, so that the next act begins as the first did.
    """

    before: Phase
    change: Phase | None
    after: Phase | None = None


def script(scene: Scene, images: int, pictures: Pictures) -> Sequence[Act]:
    """Return the acts of a scene whose changes last for so many images each.

    Own images that come a second time are no news to the monitors of scores, and look like a change
    to them; so normal traffic never lasts for longer than there are different ones.
    """
    distinct = pictures.count("traffic")
    most = images if distinct is None else min(images, distinct)
    if scene == "normal":
        return [Act(Phase("normal", most, 0), None)]
    played = [each for each in EFFECTS if each != "normal" and scene in (each, "tour")]
    acts, numbers = [], {"traffic": 0, "other": 0}

    def phase(change: Change, count: int, judged: bool = True) -> Phase:
        part = part_of(change)
        first, numbers[part] = numbers[part], numbers[part] + count
        return Phase(change, count, first, judged)

    for change in played:
        before, during = phase("normal", min(most, max(30, images // 3))), phase(change, images)
        last = change == played[-1]
        after = None if last else phase("normal", most, judged=False)
        acts.append(Act(before, during, after))
    return acts


def part_of(change: Change) -> Part:
    """Return the part whose pictures a change shows."""
    return "other" if change == "product" else "traffic"


def shown(phase: Phase, index: int, pictures: Pictures, seed: int) -> Pixels:
    """Return a picture of a phase as it is sent; the same for the same seed."""
    number = phase.first + index
    picture = pictures.get(part_of(phase.change), number)
    strength = min(1.0, (index + 1) / (FULL_AT.get(phase.change, 1) * phase.images))
    match phase.change:
        case "lighting":
            return changes.dimmed(picture, strength)
        case "blur":
            return changes.blurred(picture, strength)
        case "defects":
            rng = np.random.default_rng([seed, number])
            hit = rng.random() < HIGHEST_RATE * strength
            return changes.damaged(picture, rng) if hit else picture
    return picture
