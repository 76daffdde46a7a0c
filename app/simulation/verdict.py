"""What the service noticed and what it should have, in sentences, and whether that is all right."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.simulation.play import Played
from app.simulation.subject import Alarm


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one phase; ``right`` is False for a false alarm, and for a change that nobody noticed."""

    sentence: str
    right: bool


def verdicts(played: Sequence[Played]) -> list[Verdict]:
    """Judge what was played."""
    return [_normal(each) if each.phase.change == "normal" else _changed(each) for each in played]


def _normal(played: Played) -> Verdict:
    what = f"Normal traffic, {played.images} images, {_flagged(played)}"
    if not played.phase.judged:
        back = f"Back to normal, {played.images} images, {_flagged(played)}"
        if not played.alarms:
            return Verdict(f"{back}: nothing raised an alarm.", True)
        return Verdict(
            f"{back}: noticed by {_firsts(played)}. The end of a change is a change, too: these "
            "images were made the new baseline.",
            True,
        )
    if played.alarms:
        return Verdict(f"{what}: FALSE ALARM of {_firsts(played)}.", False)
    return Verdict(f"{what}: no alarm, as it should be.", True)


def _changed(played: Played) -> Verdict:
    effect = played.phase.effect
    what = f"{effect.words.capitalize()}, {played.images} images, {_flagged(played)}"
    found = {alarm.monitor for alarm in played.alarms}
    ought = " or ".join(effect.noticed_by)
    if not found & set(effect.noticed_by):
        by = f" (only by {_firsts(played)})" if found else ""
        return Verdict(f"{what}: NOT NOTICED by {ought}, as it should have been{by}.", False)
    loud = sorted(found & set(effect.silent))
    rest = ""
    if loud:
        rest = (
            f" {' and '.join(loud)} should have been silent: some changed images look odd, "
            "and not odd enough to be flagged."
        )
    elif effect.silent:
        rest = f" {' and '.join(effect.silent)} were silent, as they should be."
    return Verdict(f"{what}: noticed by {_firsts(played)}.{rest}", True)


def _flagged(played: Played) -> str:
    return f"{played.flagged / max(played.images, 1):.0%} flagged"


def _firsts(played: Played) -> str:
    """Return each monitor's first alarm: which, and after how many images."""
    firsts: dict[str, Alarm] = {}
    for alarm in played.alarms:
        firsts.setdefault(alarm.monitor, alarm)
    told = []
    for monitor, alarm in sorted(firsts.items(), key=lambda each: each[1].image_number):
        stream = f" ({alarm.watches})" if alarm.watches != monitor else ""
        told.append(f"{monitor}{stream} after {played.after(alarm)} images")
    return ", ".join(told)
