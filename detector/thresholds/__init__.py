"""Thresholds by method; a new one is a file here and a line in this table."""

from collections.abc import Mapping
from dataclasses import MISSING, fields

from detector.calibration import Calibration
from detector.errors import InsufficientCalibrationError, InvalidSpecError
from detector.thresholds.base import Groupwise, Method, percent
from detector.thresholds.chi2 import ChiSquare
from detector.thresholds.conformal import Conformal
from detector.thresholds.cost import LeastCost
from detector.thresholds.evt import ExtremeValue
from detector.thresholds.f1 import BestF1
from detector.thresholds.ksigma import KSigma
from detector.thresholds.manual import Manual
from detector.thresholds.quantile import Quantile
from detector.verdict import Threshold

THRESHOLDS: dict[str, type[Method]] = {
    "conformal": Conformal,
    "quantile": Quantile,
    "ksigma": KSigma,
    "chi2": ChiSquare,
    "evt": ExtremeValue,
    "f1": BestF1,
    "cost": LeastCost,
    "manual": Manual,
}

__all__ = ["THRESHOLDS", "Method", "choose", "configure"]


def configure(method: str, parameters: Mapping[str, float]) -> Method:
    """Return a method with its parameters, which are checked before any image is read.

    Raises:
        InvalidSpecError: if there is no such method or parameter, one is missing, or cannot be.
    """
    if method not in THRESHOLDS:
        raise InvalidSpecError(f"no threshold {method!r}; there is: {', '.join(THRESHOLDS)}")
    known = {field.name: field.default is MISSING for field in fields(THRESHOLDS[method])}
    said = f"threshold {method!r} takes {', '.join(known) or 'no parameters'}"
    if unknown := [name for name in parameters if name not in known]:
        raise InvalidSpecError(f"{said}; not {', '.join(unknown)}")
    if missing := [name for name, needed in known.items() if needed and name not in parameters]:
        raise InvalidSpecError(f"{said}; {', '.join(missing)} is missing")
    return THRESHOLDS[method](**{name: float(value) for name, value in parameters.items()})


def choose(
    method: str,
    calibration: Calibration,
    parameters: Mapping[str, float],
    *,
    by_group: bool = False,
    review_target: float | None = None,
) -> Threshold:
    """Return the threshold that a method chooses on a calibration.

    Args:
        method: a name in ``THRESHOLDS``.
        calibration: scores of held-out normal images, and of known anomalies where there are any.
        parameters: of the method, by name.
        by_group: whether each group has a line of its own (conformal and quantile).
        review_target: with one, images above the conformal line of this rate are uncertain.

    Raises:
        InvalidSpecError: if method or parameters cannot be, or no band is left for review.
        InsufficientCalibrationError: if there are too few normal images, in all or in a group.
        MissingAnomaliesError: if the method needs known anomalies and there are none.
        DegenerateDataError: if the method fits a law that such scores cannot have.
    """
    chosen = configure(method, parameters)
    if by_group and review_target is not None:
        raise InvalidSpecError("a review band has one edge: leave it out, or the lines by group")
    value = chosen.line(calibration)
    statement = chosen.statement(calibration, value)
    lines: dict[str, float] = {}
    if by_group:
        groupwise = _groupwise(method, chosen)
        lines = _lines(groupwise, calibration)
        # For images of unknown group. The line of all images alone would be right only if groups
        # came as often as in the calibration; the highest is, whichever of them an image is of.
        # The price is that it misses more. For a group never seen neither promises anything.
        value = max(value, *lines.values())
        statement = _group_statement(groupwise, calibration)
    review = None
    if review_target is not None:
        review = Conformal(review_target).line(calibration)
        statement += (
            f" Above {review:g} begins review: at most {percent(review_target)} of new normal "
            f"images are flagged or to be reviewed on average (split conformal)."
        )
    asked = {name: float(each) for name, each in parameters.items()}
    target = getattr(chosen, "target", None)
    return Threshold(value, method, target, statement, asked, lines, review, review_target)


def _groupwise(method: str, chosen: Method) -> Groupwise:
    """Return a method that can draw lines by group; others are refused."""
    if isinstance(chosen, Groupwise):
        return chosen
    able = [name for name, kind in THRESHOLDS.items() if issubclass(kind, Groupwise)]
    raise InvalidSpecError(f"{method} has no lines by group; {' and '.join(able)} have")


def _lines(chosen: Groupwise, calibration: Calibration) -> dict[str, float]:
    """Return every known group's own line."""
    if not calibration.names:
        raise InvalidSpecError("no calibration image has a group: calibrate with groups first")
    least = chosen.least_images
    sizes = {name: int(mask.sum()) for name, mask in calibration.masks.items()}
    if short := [f"{name!r} has {size}" for name, size in sizes.items() if size < least]:
        raise InsufficientCalibrationError(
            f"lines by group at {percent(chosen.target)} need at least {least} calibration images "
            f"of each group: {', '.join(short)}"
        )
    return {name: chosen.line(calibration.of(name)) for name in calibration.names}


def _group_statement(chosen: Groupwise, calibration: Calibration) -> str:
    """Return what lines by group promise, and how images of no known group are judged."""
    sizes = [int(mask.sum()) for mask in calibration.masks.values()]
    return (
        f"{chosen.group_statement} {len(sizes)} groups of {min(sizes)} to {max(sizes)} calibration "
        f"images have a line of their own; any other image is judged by the highest of these and "
        f"the line of all images, which holds whichever of these groups it belongs to."
    )
