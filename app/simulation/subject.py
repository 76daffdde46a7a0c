"""The detector that a simulation makes, watches and removes; one of somebody else's it lets be.

It is known as ours by the reason that the audit has of its making, so that one which a simulation
left behind, because it was cut off or told to, can be replaced by the next.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.simulation.errors import RefusedError, SimulationError
from app.simulation.pictures import Part, Pictures, jpeg
from app.simulation.remote import Remote, Seen, form
from detector.spec import NAME

REASON = "gatewatch simulate"
MAKING = ("detector.create", "detector.import")
TARGET = 0.05
HURRY_S = 5.0
"""How long a service that refuses is asked to delete: somebody waits for the end."""
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
    def of(cls, told: Mapping[str, Any]) -> "Standing":
        """Return what ``GET .../drift`` has answered."""
        gaps: dict[str, tuple[float, float]] = {}
        for each in told["monitors"]:
            pair = (each["evidence_log10"], each["threshold_log10"])
            known = gaps.setdefault(each["monitor"], pair)
            gaps[each["monitor"]] = max(pair, known, key=lambda pair: pair[0] - pair[1])
        alarms = [
            Alarm(each["monitor"], each["watches"], each["image_number"])
            for each in reversed(told["alarms"])
        ]
        return cls(told["state"], told["images"], gaps, alarms)


class Subject:
    """A detector of this name, from ``make`` to ``remove``."""

    def __init__(self, remote: Remote, name: str) -> None:
        """Name it; nothing is asked yet.

        Raises:
            RefusedError: if no detector can have this name.
        """
        if not re.fullmatch(NAME, name):
            raise RefusedError(f"no detector can have the name {name!r}: it does not match {NAME}")
        self._remote, self.name = remote, name
        self.path = f"/v1/detectors/{name}"
        self.made = False

    def make(self, image_size: int) -> None:
        """Create it for images of this side, in the place of one that was left by a simulation.

        Raises:
            RefusedError: if somebody else's detector has the name.
        """
        if self._exists():
            if not self._is_ours():
                raise RefusedError(
                    f"there is a detector {self.name!r} that no simulation has made: give another "
                    "name with --detector"
                )
            self._delete()
        body = {"name": self.name, "image_size": image_size}
        self.made = True  # before it is known: an answer may be lost, or nobody wait for it
        try:
            self._remote.ask("POST", "/v1/detectors", json=body, params={"reason": REASON})
        except SimulationError:
            # Repeated after a broken connection, what was made at first is in its own way.
            self.made = self._exists() and self._is_ours()
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
        asked = {"target": TARGET} if part == "calibrate" else {}
        learning = seen(part)
        done = self._remote.job(f"{self.path}/{part}", files, learning, reason=REASON, **asked)
        learning(images)
        if done["rejected"]:
            first = done["rejected"][0]["problem"]["detail"]
            raise SimulationError(
                f"{len(done['rejected'])} of {images} images were left out: {first}"
            )

    def score(self, files: Sequence[bytes]) -> int:
        """Have images scored; return how many are flagged."""
        answer = self._remote.ask("POST", f"{self.path}/score", files=form(files)).json()
        bad = [each for each in answer["results"] if each["verdict"] == "invalid"]
        if bad:
            raise SimulationError(f"an image was not scored: {bad[0]['problem']['detail']}")
        return sum(bool(each["flagged"]) for each in answer["results"])

    def standing(self) -> Standing:
        """Ask how the monitors stand.

        Raises:
            SimulationError: if nothing is watched.
        """
        return _watched(self._remote.get(f"{self.path}/drift"))

    def acknowledge(self) -> Standing:
        """Acknowledge all alarms."""
        answer = self._remote.ask(
            "POST", f"{self.path}/drift/acknowledge", json={}, params={"reason": REASON}
        )
        return _watched(answer.json())

    def rebaseline(self, images: int) -> Standing:
        """Take the last images for normal."""
        answer = self._remote.ask(
            "POST",
            f"{self.path}/drift/rebaseline",
            json={"images": images},
            params={"reason": REASON},
        )
        return _watched(answer.json())

    def remove(self) -> None:
        """Delete it, if it was made."""
        if self.made:
            self._delete(HURRY_S)
            self.made = False

    def _delete(self, patience_s: float | None = None) -> None:
        try:
            self._remote.ask("DELETE", self.path, patience_s=patience_s, params={"reason": REASON})
        except SimulationError as error:
            if error.status != 404:  # it is gone, if only by a request whose answer was lost
                raise

    def _exists(self) -> bool:
        listed = self._remote.get("/v1/detectors")["detectors"]
        return self.name in {each["name"] for each in listed}

    def _is_ours(self) -> bool:
        """Return whether the last one to make a detector of this name was a simulation."""
        after: int | None = 0
        reason = ""
        while after is not None:
            page = self._remote.get("/v1/audit", subject=self.name, after=after, limit=1000)
            made = [line for line in page["lines"] if line["action"] in MAKING]
            reason = made[-1]["reason"] if made else reason
            after = page["next"]
        return reason == REASON


def _watched(told: Mapping[str, Any]) -> Standing:
    standing = Standing.of(told)
    if standing.state == "disabled":
        raise SimulationError(OFF)
    return standing
