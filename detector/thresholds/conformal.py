"""The threshold ``conformal``: the one whose false-alarm rate is promised."""

from dataclasses import dataclass

from detector import conformal
from detector.calibration import Calibration
from detector.thresholds.base import Groupwise, percent


@dataclass(frozen=True)
class Conformal(Groupwise):
    """At most ``target`` of new normal images are flagged; see ``detector.conformal``.

    On average over calibrations, or with ``delta`` for this calibration, with probability at least
    1 - delta. By group it is the Mondrian form: the promise holds within each group.
    Source: Vovk, "Conditional validity of inductive conformal predictors", arXiv:1209.2673.

    Raises:
        InvalidSpecError: if target or delta is not in (0, 1).
    """

    delta: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delta is not None:
            conformal.require_rate("chance delta that the promise fails", self.delta)

    @property
    def least_images(self) -> int:
        """How many images are needed."""
        return conformal.least_images(self.target, self.delta)

    def line(self, calibration: Calibration) -> float:
        """Return the order statistic that the promise asks for."""
        return conformal.threshold(calibration.ascending, self.target, self.delta)

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return the promise."""
        return conformal.statement(len(calibration), self.target, self.delta)

    @property
    def group_statement(self) -> str:
        """The promise within a group."""
        rate = f"at most {percent(self.target)} of new normal images of a group are flagged"
        if self.delta is None:
            return (
                f"In each group by itself {rate} on average (split conformal within the group, "
                f"finite-sample, assumes exchangeability within it)."
            )
        return (
            f"For each group by itself, with probability at least {1 - self.delta:g} over the draw "
            f"of its calibration images, {rate} (split conformal within the group, finite-sample, "
            f"assumes independent images)."
        )
