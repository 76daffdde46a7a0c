"""How soon a change of the traffic would be seen."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ChangePower:
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


@dataclass(frozen=True, kw_only=True)
class PowerInfo:
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
