"""The promise on false alarms in the user's units, and the thresholds that keep it.

"At most one false alarm per N images on average" means: while nothing changes, the mean number of
alarms within any t images is at most t / N. One in ``every`` images is monitored, each stream has
its share w of the promise, and a stream's alarms within m monitored images have a mean of at most
m / c (``evidence``). So it holds with::

    c = N / (every w)            for the shares add up to 1, and the streams over t images to t / N

It holds however the streams depend on each other. So does P(an alarm within t images) <= t / N. The
mean time to the first alarm of a stream is at least its own c monitored images; of the first of all
it is proven for streams of one filtration only, and otherwise at least N / 2, from that bound on P.
"""

from dataclasses import dataclass
from math import isfinite, log10

from detector.errors import InvalidSpecError


@dataclass(frozen=True)
class Promise:
    """At most one false alarm per so many images on average.

    Raises:
        InvalidSpecError: if it is not a finite number of images above 1.
    """

    images: float

    def __post_init__(self) -> None:
        if not (isfinite(self.images) and self.images > 1):
            raise InvalidSpecError(
                f"a promise is one false alarm per more than 1 image, got {self.images}"
            )

    @classmethod
    def per_days(cls, days: float, images_per_day: float) -> "Promise":
        """Return the promise of one false alarm per so many days at an observed rate.

        Raises:
            InvalidSpecError: if that is not more than one image.
        """
        return cls(days * images_per_day)

    def threshold_log10(self, every: float, share: float = 1.0) -> float:
        """Return log10 c of a stream.

        Args:
            every: images per monitored image, at least 1.
            share: of the promise that is the stream's, above 0 and at most 1.

        Raises:
            InvalidSpecError: if less than one monitored image per false alarm is left.
        """
        if self.images <= every:
            raise InvalidSpecError(
                f"one in {every:g} images is monitored, so a promise must be of more than "
                f"{every:g} images per false alarm, got {self.images:g}"
            )
        return log10(self.images / every / share)

    def part(self, every: float, share: float) -> "Promise":
        """Return the promise of a part of the monitors, counted in monitored images: N / (every w).

        Raises:
            InvalidSpecError: as ``threshold_log10``.
        """
        self.threshold_log10(every, share)
        return Promise(self.images / every / share)

    @property
    def statement(self) -> str:
        """What is promised, in words a person can check."""
        return (
            f"While the traffic stays like the calibration images, at most one false alarm per "
            f"{self.images:,.0f} images on average, all monitors together (conformal ranks, "
            f"finite-sample, assumes exchangeable images)."
        )
