"""The threshold ``f1``: the best F1 among the images given."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from detector.calibration import Calibration
from detector.thresholds.base import Method
from detector.thresholds.labelled import Cuts, counted, cuts


@dataclass(frozen=True)
class BestF1(Method):
    """The line of the highest F1 = 2 D / (D + F + A), with D of A anomalies and F normals above it.

    Of lines that are equally good, the one with the fewest false alarms. F1 depends on how many
    anomalies were given beside how many normal images, which on a line is another mix.
    """

    def line(self, calibration: Calibration) -> float:
        """Return the line midway between the scores it parts."""
        found = cuts(calibration, "f1")
        return float(found.lines[np.argmax(_f1(found, calibration))])

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what was counted."""
        best = float(_f1(cuts(calibration, "f1"), calibration).max())
        return (
            f"The best F1, {best:.3f}, among these images. No promise: "
            f"{counted(calibration, line)}, and F1 depends on how many anomalies were given."
        )


def _f1(found: Cuts, calibration: Calibration) -> Float[np.ndarray, " c"]:
    flagged = found.detections + found.false_alarms
    scores: np.ndarray = 2 * found.detections / (flagged + len(calibration.anomalies))
    return scores
