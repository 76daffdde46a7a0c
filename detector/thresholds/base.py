"""What every way of choosing a threshold has: parameters, a line, and a sentence about it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from math import isfinite

from detector.calibration import Calibration
from detector.conformal import require_rate
from detector.errors import InsufficientCalibrationError, InvalidSpecError


@dataclass(frozen=True)
class Method(ABC):
    """A way of choosing a threshold; the fields of a subclass are its parameters.

    Raises:
        InvalidSpecError: if a parameter is one that cannot be.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not isfinite(value):
                raise InvalidSpecError(f"{field.name} must be a finite number, got {value}")

    @abstractmethod
    def line(self, calibration: Calibration) -> float:
        """Return the line.

        Raises:
            InsufficientCalibrationError: if there are too few normal images.
            MissingAnomaliesError: if known anomalies are needed and there are none.
        """

    @abstractmethod
    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what this line promises, in words a person can check."""


@dataclass(frozen=True)
class Rated(Method):
    """A threshold for a false-alarm rate.

    Raises:
        InvalidSpecError: if the target is not in (0, 1).
    """

    target: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_rate("target false-alarm rate", self.target)


class Groupwise(Rated):
    """One that can be chosen for each group on its own (Mondrian)."""

    @property
    @abstractmethod
    def least_images(self) -> int:
        """How many images a group needs."""

    @property
    @abstractmethod
    def group_statement(self) -> str:
        """What holds in every group, in words a person can check."""


def percent(rate: float) -> str:
    """Return a rate as a percentage with its unit."""
    return f"{100 * rate:.4g} %"


def require_images(calibration: Calibration, least: int, what: str) -> None:
    """Refuse too few calibration images.

    Raises:
        InsufficientCalibrationError: then, with the number that would do.
    """
    if len(calibration) < least:
        raise InsufficientCalibrationError(
            f"{what} needs at least {least} calibration images, there are {len(calibration)}"
        )
