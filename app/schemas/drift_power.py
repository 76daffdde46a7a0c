"""How soon a change of the traffic would be seen."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

from app.monitoring.power import CHANGES, Outlook
from app.schemas.base import MAX_VERSION, Body
from app.schemas.drift_replay import MOST_PROMISED
from detector.drift.power import Change, Power


@dataclass(frozen=True, slots=True)
class PowerQuery:
    """What is simulated: one change if its shift or spread is given, else a table of some."""

    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="Unset: the one in service.")
    ] = None
    promise_images: Annotated[
        int | None,
        Query(ge=2, le=MOST_PROMISED, description="Per false alarm; unset: the setting's."),
    ] = None
    shift: Annotated[
        float | None, Query(ge=-100, le=100, description="Of scores, in standard deviations.")
    ] = None
    spread: Annotated[
        float | None,
        Query(ge=0.01, le=100, description="What their distances are multiplied by."),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """Return what ``app.monitoring.power.outlook`` is asked for."""
        asked = changes(self.shift, self.spread)
        return {
            "version": self.version,
            "promise_images": self.promise_images,
            "changes": asked,
        }


def changes(shift: float | None, spread: float | None) -> tuple[Change, ...]:
    """Return the change that is asked for, or all if none is."""
    if shift is None and spread is None:
        return CHANGES
    return (Change(shift or 0.0, 1.0 if spread is None else spread),)


class ChangePower(Body):
    """How soon one change would be seen."""

    shift_sd: float
    """Of scores, in standard deviations of the calibration's."""
    spread: float
    """What their distances from the median are multiplied by."""
    seen: int
    """In how many simulations there was an alarm."""
    simulations: int
    median_images: int | None
    """From the change to the alarm; none if fewer than half of the simulations had one."""
    horizon_images: int
    """After which a simulation gave up."""
    text: str

    @classmethod
    def of(cls, power: Power) -> "ChangePower":
        """Return its form."""
        return cls(
            shift_sd=power.change.shift,
            spread=power.change.spread,
            seen=power.seen.count,
            simulations=power.seen.of,
            median_images=power.median_images,
            horizon_images=power.horizon,
            text=str(power),
        )


class PowerInfo(Body):
    """How soon changes would be seen under a promise on false alarms."""

    detector: str
    version: int
    """On whose calibration it was simulated."""
    promise: str
    promise_images: int
    calibration_images: int
    lag_images: int
    """One image in so many is watched."""
    changes: list[ChangePower]

    @classmethod
    def of(cls, outlook: Outlook) -> "PowerInfo":
        """Return its form."""
        return cls(
            detector=outlook.stored.entry.name,
            version=outlook.stored.detector.version,
            promise=outlook.promise.statement,
            promise_images=round(outlook.promise.images),
            calibration_images=outlook.calibration,
            lag_images=round(outlook.thinning.every),
            changes=[ChangePower.of(each) for each in outlook.powers],
        )
