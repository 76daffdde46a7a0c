"""The threshold: what it is and promises, what others would cost, and to draw another."""

from collections.abc import Sequence

from gatewatch.answers import CalibrationScores, DrawnThreshold, Preview, Threshold
from gatewatch.calls import Call, answers
from gatewatch.lines import Line, as_document
from gatewatch.operations.learning import Promote


def threshold(
    name: str, *, version: int | None = None, allow_stale: bool = False
) -> Call[Threshold]:
    """Return where the line is drawn, and what is promised about it."""
    return Call(
        "GET /v1/detectors/{name}/threshold",
        answers(Threshold),
        parts={"name": name},
        query={"version": version, "allow_stale": allow_stale},
    )


def set_threshold(
    name: str,
    threshold: Line,
    *,
    base: int | None = None,
    promote: Promote = "auto",
    allow_stale: bool = False,
    reason: str = "",
) -> Call[DrawnThreshold]:
    """Draw another line, which makes a new version.

    A threshold is a ``NewThreshold``, or the highest false-alarm rate of a conformal one.
    """
    return Call(
        "PUT /v1/detectors/{name}/threshold",
        answers(DrawnThreshold),
        parts={"name": name},
        query={"base": base, "promote": promote, "allow_stale": allow_stale, "reason": reason},
        document=as_document(threshold),
    )


def preview(
    name: str,
    *,
    threshold: Line | None = None,
    targets: Sequence[float] | None = None,
    version: int | None = None,
    allow_stale: bool = False,
) -> Call[Preview]:
    """Return what false-alarm rates would cost, and what a threshold would do; nothing changes."""
    body = {
        "targets": None if targets is None else list(targets),
        "threshold": None if threshold is None else as_document(threshold),
        "version": version,
        "allow_stale": allow_stale,
    }
    return Call(
        "POST /v1/detectors/{name}/threshold/preview",
        answers(Preview),
        parts={"name": name},
        document={key: value for key, value in body.items() if value is not None},
        repeatable=True,
    )


def calibration_scores(
    name: str, *, bins: int | None = None, version: int | None = None, allow_stale: bool = False
) -> Call[CalibrationScores]:
    """Count the scores that a threshold is chosen from, in bins of equal width, 60 unless told."""
    return Call(
        "GET /v1/detectors/{name}/threshold/scores",
        answers(CalibrationScores),
        parts={"name": name},
        query={"bins": bins, "version": version, "allow_stale": allow_stale},
    )
