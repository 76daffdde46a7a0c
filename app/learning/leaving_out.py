"""False alarms of a group that was never seen: each group is left out of the fit and of the line.

A line chosen on images of the same lots, sessions or cameras that it will judge looks better than
it is for the next one. Where the rows of fitted images were kept, the group's are forgotten and its
calibration images are judged by what is left; else only the line is chosen without them, and the
report says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from app.learning.fitting import rows_of
from app.results import Groups
from app.service import Service
from app.storage.lineage import Image
from detector.calibration import Calibration
from detector.detector import Detector
from detector.errors import DegenerateDataError, DetectorError
from detector.groups import leave_one_group_out
from detector.statistics import Statistics, merge

MOST_REFITTED = 32
"""Groups that are left out of the fit at most; with more, only the line is chosen without each."""


async def report(
    service: Service, calibrated: Detector, fitted: Sequence[Image], held_out: Sequence[Image]
) -> Groups | None:
    """Return the report on a calibrated detector, None if it has no groups or no target.

    Args:
        service: that runs.
        calibrated: on the images that were held out.
        fitted: the images of its fit.
        held_out: its calibration images, as its scores are ordered.
    """
    known, drawn = calibrated.calibration, calibrated.threshold
    assert known is not None
    assert drawn is not None
    if len(known.names) < 2 or drawn.target is None:
        return None
    refitted, obstacle = None, ""
    if set(known.names) & {image.group for image in fitted}:
        obstacle = _obstacle(known, fitted, held_out)
        if not obstacle:
            try:
                refitted = await _refitted(service, calibrated, fitted, held_out, known)
            except DegenerateDataError as error:
                obstacle = f"without one of them, {error}"
    try:
        found = await service.in_pool(partial(leave_one_group_out, known, drawn.target, refitted))
    except DetectorError as error:
        return Groups(None, refitted is not None, str(error))
    said = [found.warning] if found.warning else []
    if obstacle:
        said.append(
            "The groups were left out of the choice of the line alone, not of the fit, which may "
            f"flatter: {obstacle}."
        )
    if refitted is not None and calibrated.network:
        said.append("The network has learned from these groups too, which may flatter.")
    return Groups(found, refitted is not None, " ".join(said) or None)


def _obstacle(known: Calibration, fitted: Sequence[Image], held_out: Sequence[Image]) -> str:
    """Return why groups of the calibration cannot be left out of the fit; empty if they can."""
    if not all(image.rows_blob for image in (*fitted, *held_out)):
        return "rows of the images were not kept (GATEWATCH_KEEP_FITTED_ROWS)"
    if len(known.names) > MOST_REFITTED:
        return f"there are {len(known.names)} of them, and at most {MOST_REFITTED} are refitted"
    groups = {image.group for image in fitted}
    if len(groups) == 1:
        return f"all fitted images are of group {groups.pop()!r}"
    return ""


async def _refitted(
    service: Service,
    calibrated: Detector,
    fitted: Sequence[Image],
    held_out: Sequence[Image],
    known: Calibration,
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Return every group's own and the others' scores by a detector that never saw the group.

    Raises:
        DegenerateDataError: if what is left without a group defines no distance.
    """
    found = {}
    for name, own in known.masks.items():
        scores = known.scores
        mine = [image for image in fitted if image.group == name]
        if mine:
            theirs = await _statistics(service, calibrated, mine)
            less = await service.in_pool(partial(calibrated.forget, theirs))
            scores = await _scores(service, less, held_out)
        found[name] = (scores[own], scores[~own])
    return found


async def _statistics(service: Service, detector: Detector, images: Iterable[Image]) -> Statistics:
    found: Statistics = {}
    async for _, rows in rows_of(service, images):
        new = await service.in_pool(partial(detector.statistics_of, rows))
        found = await service.in_pool(partial(merge, found, new))
    return found


async def _scores(service: Service, detector: Detector, images: Sequence[Image]) -> np.ndarray:
    """Return the scores of images, in their order."""
    places = {(image.rows_blob, image.row): place for place, image in enumerate(images)}
    scores = np.zeros(len(images))
    async for part, rows in rows_of(service, images):
        where = [places[image.rows_blob, image.row] for image in part]
        scores[where] = await service.in_pool(partial(detector.scores, rows))
    return scores
