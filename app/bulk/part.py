"""What one process has made of its share of the images: statistics, held-out rows, and who was in.

Parts add up, in any order and grouping, to the part of all images: moments are merged exactly
(``detector.moments``), reservoirs by their keys, and lists are kept in order of name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from app.bulk.errors import PartsMismatchError, TooManyFailedError
from app.bulk.plan import Allowed, HoldOut
from app.bulk.reservoir import Reservoir
from app.results import Rejected
from app.storage.lineage import Image
from detector.detector import Detector
from detector.embedding import VIEWS, Embedding
from detector.statistics import Statistics, merge

IS_REST = "rest_of_file"
"""In a problem: what was left out is not an image but the rest of a damaged file."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One image that a process has met: its embedding (of all views that are fitted), or the
    problem that left it out. A held-out image has one view."""

    name: str
    group: str
    sha256: str
    outcome: Embedding | Rejected


@dataclass(frozen=True, slots=True)
class Part:
    """What was made of some images.

    Attributes:
        unfitted: the detector that they are for, without statistics and decision.
        hold_out: which of them calibrate.
        statistics: of those that were fitted.
        fitted: these, in order of name.
        held: those that were held out.
        rejected: those that could not be used, in order of name.
    """

    unfitted: Detector
    hold_out: HoldOut
    statistics: Statistics = field(default_factory=dict)
    fitted: Sequence[Image] = ()
    held: Reservoir = field(default_factory=lambda: Reservoir(0))
    rejected: Sequence[Rejected] = ()

    @classmethod
    def of(cls, detector: Detector, hold_out: HoldOut, images: Iterable[Seen]) -> "Part":
        """Return the part of some images, each looked at once; their order does not matter.

        Raises:
            InvalidSpecError: if the options name a block that the backbone does not have.
        """
        fitted: list[tuple[Image, Embedding]] = []
        held: list[tuple[Image, Embedding]] = []
        rejected: list[Rejected] = []
        for each in images:
            if isinstance(each.outcome, Rejected):
                rejected.append(each.outcome)
                continue
            side = held if hold_out.holds(each.sha256) else fitted
            side.append((Image(each.sha256, each.name, each.group), each.outcome))
        return cls(
            blank(detector),
            hold_out,
            detector.statistics_of(_joined(fitted)) if fitted else {},
            _by_name(image for image, _ in fitted),
            Reservoir.of(
                hold_out.most,
                [hold_out.key(image.sha256) for image, _ in held],
                [image for image, _ in held],
                detector.rows(_joined(held)) if held else None,
            ),
            sorted(rejected, key=lambda each: each.name),
        )

    @classmethod
    def merged(cls, parts: Sequence["Part"]) -> "Part":
        """Return the part of all images of all parts; at least one is needed.

        Raises:
            PartsMismatchError: if they are of different detectors, held out otherwise, or have an
                image in common.
        """
        first = parts[0]
        for part in parts:
            first.require_like(part)
        known: Statistics = {}
        for part in parts:
            known = merge(known, part.statistics)
        fitted = [image for part in parts for image in part.fitted]
        rejected = [each for part in parts for each in part.rejected]
        held = Reservoir.merged(first.hold_out.most, (part.held for part in parts))
        return cls(first.unfitted, first.hold_out, known, fitted, held, rejected).ordered()

    def ordered(self) -> "Part":
        """Return the part with its lists in order of name.

        Raises:
            PartsMismatchError: if an image was fitted twice.
        """
        fitted = _by_name(self.fitted)
        _check_once([image.name for image in fitted])
        rejected = sorted(self.rejected, key=lambda each: each.name)
        return replace(self, fitted=fitted, rejected=rejected)

    def require_like(self, other: "Part") -> None:
        """Refuse a part that does not add up with this one.

        Raises:
            PartsMismatchError: if it is of another detector, or holds out others.
        """
        ours, theirs = self.unfitted, other.unfitted
        if ours.spec != theirs.spec or not np.array_equal(whole_mask(ours), whole_mask(theirs)):
            raise PartsMismatchError(
                "the parts are of different detectors, regions or backbones: make all of them "
                "with the same options on the same backbone"
            )
        if self.hold_out != other.hold_out:
            raise PartsMismatchError(
                f"the parts hold out other images ({self.hold_out} and {other.hold_out}): make "
                "all of them with the same share, number and seed"
            )

    @property
    def rests(self) -> list[Rejected]:
        """Of what could not be used, the rests of damaged files."""
        return [each for each in self.rejected if each.problem.get(IS_REST)]

    def require_used(self, allowed: Allowed) -> None:
        """Refuse a part of which too much was left out.

        Raises:
            TooManyFailedError: if it was.
        """
        failed = self.rejected
        if len(failed) > allowed.most_failed * self.images:
            raise TooManyFailedError(
                f"{len(failed)} of {self.images} images could not be used, more than "
                f"{allowed.most_failed:.0%}; the first, {failed[0].name!r}: {failed[0].detail}. If "
                "the rest is what shall be learned, allow more with --most-failed"
            )
        if self.rests and not allowed.damaged:
            raise TooManyFailedError(
                f"{len(self.rests)} file(s) are damaged, and what was in the rest of them is not "
                f"known; the first, {self.rests[0].name!r}: {self.rests[0].detail}. Restore them, "
                "or do without with --allow-damaged"
            )

    @property
    def images(self) -> int:
        """How many images it has met."""
        return len(self.fitted) + self.held.seen + len(self.rejected)


def blank(detector: Detector) -> Detector:
    """Return a detector as it was before it saw an image."""
    return Detector(detector.spec, detector.mask)


def views_of(detector: Detector) -> int:
    """Return how many views of a fitted image are embedded: mirrored ones stand beside it."""
    return VIEWS if detector.spec.options.flips else 1


def _joined(images: Sequence[tuple[Image, Embedding]]) -> Embedding:
    return Embedding.concatenate([embedding for _, embedding in images])


def _by_name(images: Iterable[Image]) -> list[Image]:
    return sorted(images, key=lambda image: image.name)


def whole_mask(detector: Detector) -> np.ndarray:
    """Return a detector's mask; no pixels if it has none."""
    return np.zeros((0, 0), np.uint8) if detector.mask is None else detector.mask


def _check_once(names: Sequence[str]) -> None:
    """Refuse an image that was counted twice; names are in order."""
    twice = next((a for a, b in pairwise(names) if a == b), None)
    if twice is not None:
        raise PartsMismatchError(f"the image {twice!r} is in two parts: it would count twice")
