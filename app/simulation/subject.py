"""The detector that a simulation makes, watches and removes; one of somebody else's it lets be.

It is known as ours by the reason that the audit has of its making, so that one which a simulation
left behind, because it was cut off or told to, can be replaced by the next.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.simulation.errors import RefusedError, SimulationError
from app.simulation.pictures import Part, Pictures, jpeg
from detector.spec import NAME
from gatewatch import (
    Calibrated,
    Client,
    DriftInfo,
    Fitted,
    GatewatchError,
    Job,
    ServerUnreachableError,
    UnknownDetectorError,
)

REASON = "gatewatch simulate"
MAKING = ("detector.create", "detector.import")
TARGET = 0.05
Seen = Callable[[int], None]
"""Called with how many images are done."""
OFF = (
    "the service does not watch its traffic: set GATEWATCH_DRIFT_FALSE_ALARM_IMAGES to other than 0"
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Of a monitor, by an image, counted from 0 since the detector is watched."""

    monitor: str
    watches: str
    image_number: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the monitors stand.

    Attributes:
        state: of the detector, in a word.
        images: that were watched.
        evidence: of each monitor, log10, and its threshold: of its streams the nearest to it.
        alarms: the last ones, oldest first.
    """

    state: str
    images: int
    evidence: Mapping[str, tuple[float, float]]
    alarms: Sequence[Alarm]

    @classmethod
    def of(cls, told: DriftInfo) -> "Standing":
        """Return what the service tells."""
        gaps: dict[str, tuple[float, float]] = {}
        for each in told.monitors:
            pair = (each.evidence_log10, each.threshold_log10)
            known = gaps.setdefault(each.monitor, pair)
            gaps[each.monitor] = max(pair, known, key=lambda pair: pair[0] - pair[1])
        alarms = [
            Alarm(each.monitor, each.watches, each.image_number) for each in reversed(told.alarms)
        ]
        return cls(told.state, told.images, gaps, alarms)


class Subject:
    """A detector of this name, from ``make`` to ``remove``.

    What it asks of the service raises GatewatchError if that does not work.
    """

    def __init__(self, client: Client, name: str, leaving: Client | None = None) -> None:
        """Name it; nothing is asked yet.

        Args:
            client: of the service.
            name: of the detector.
            leaving: by which it is left, if that is to be done with less patience.

        Raises:
            RefusedError: if no detector can have this name.
        """
        if not re.fullmatch(NAME, name):
            raise RefusedError(f"no detector can have the name {name!r}: it does not match {NAME}")
        self._client, self._leaving = client, leaving or client
        self.name = name
        self.made = False

    def make(self, image_size: int) -> None:
        """Create it for images of this side, in the place of one that was left by a simulation.

        Raises:
            RefusedError: if somebody else's detector has the name.
        """
        if self._exists(self._client):
            if not self._is_ours():
                raise RefusedError(
                    f"there is a detector {self.name!r} that no simulation has made: give another "
                    "name with --detector"
                )
            self._delete(self._client)
        self.made = True  # before it is known: an answer may be lost, or nobody wait for it
        try:
            self._client.create(self.name, image_size=image_size, reason=REASON)
        except GatewatchError:
            self.made = self._exists(self._client) and self._is_ours()
            if not self.made:
                raise

    def learn(
        self,
        pictures: Pictures,
        part: Part,
        images: int,
        seen: Callable[[str], Seen],
    ) -> None:
        """Fit it or calibrate it with pictures of a part; ``seen`` is given what is going on.

        Raises:
            SimulationError: if images are left out, for then they are no normal images.
        """
        drawing = seen("pictures")
        files = []
        for number in range(images):
            files.append(jpeg(pictures.get(part, number)))
            drawing(number + 1)
        learning = seen(part)
        job: Job[Fitted] | Job[Calibrated]
        if part == "fit":
            job = self._client.fit(self.name, _named(files), reason=REASON)
        else:
            job = self._client.calibrate(self.name, _named(files), threshold=TARGET, reason=REASON)
        try:
            for info in job.events():
                learning(info.images_done)
        except BaseException:  # nobody waits for it any more
            with contextlib.suppress(GatewatchError):
                self._leaving.cancel(job.id, reason=REASON)
            raise
        done = job.result
        if done.rejected:
            first = done.rejected[0].problem.detail
            raise SimulationError(f"{len(done.rejected)} of {images} images were left out: {first}")

    def score(self, files: Sequence[bytes]) -> int:
        """Have images scored; return how many are flagged."""
        results = self._client.score_batch(self.name, _named(files)).results
        bad = [each.problem for each in results if each.problem is not None]
        if bad:
            raise SimulationError(f"an image was not scored: {bad[0].detail}")
        return sum(bool(each.flagged) for each in results)

    def standing(self) -> Standing:
        """Ask how the monitors stand.

        Raises:
            SimulationError: if nothing is watched.
        """
        return _watched(self._client.drift(self.name))

    def acknowledge(self) -> Standing:
        """Acknowledge all alarms."""
        return _watched(self._client.acknowledge(self.name, reason=REASON))

    def rebaseline(self, images: int) -> Standing:
        """Take the last images for normal."""
        return _watched(self._client.rebaseline(self.name, images=images, reason=REASON))

    def remove(self) -> None:
        """Delete it, if it was made."""
        if self.made:
            self._delete(self._leaving)
            self.made = False

    def _delete(self, client: Client) -> None:
        try:
            client.delete(self.name, reason=REASON)
        except UnknownDetectorError:
            return
        except ServerUnreachableError:  # perhaps it is gone, and only the answer was lost
            if self._exists(client):
                raise

    def _exists(self, client: Client) -> bool:
        return self.name in {each.name for each in client.detectors()}

    def _is_ours(self) -> bool:
        """Return whether the last one to make a detector of this name was a simulation."""
        lines = self._client.audit(subject=self.name)
        reasons = [line.reason for line in lines if line.action in MAKING]
        return reasons[-1:] == [REASON]


def _named(files: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Return JPEG files as the client takes them."""
    return [(f"{number:04d}.jpg", file) for number, file in enumerate(files)]


def _watched(told: DriftInfo) -> Standing:
    standing = Standing.of(told)
    if standing.state == "disabled":
        raise SimulationError(OFF)
    return standing
