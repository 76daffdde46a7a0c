"""What an import answers."""

from dataclasses import dataclass

from gatewatch.answers.detectors import DetectorInfo


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did."""

    detector: DetectorInfo
    worst_difference: float
    """Largest relative difference of a score here from the one the bundle gives."""
    rows_kept: bool
    """Whether images can be forgotten here, one by one."""
