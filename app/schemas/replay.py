"""What of the past is judged again, and what comes of it."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field

from app.past.tally import Changed, Count, Replayed, Step
from app.schemas.base import Body, VersionNumber
from app.schemas.history import Moment, ScoredInfo
from app.schemas.thresholds import NewThreshold, Threshold
from app.storage.history import Word
from app.storage.reviews import ReviewWord
from app.storage.version_rows import summary_of
from detector.scorers import SCORERS


def _scorer(name: str) -> str:
    if name not in SCORERS:
        raise ValueError(f"there is: {', '.join(SCORERS)}")
    return name


_KNOWN = {"enum": [*SCORERS]}


class NewReplay(Body):
    """What judges the past; what is left out is as in service."""

    version: VersionNumber | None = None
    """That judges; unset: the one in service."""
    scorer: Annotated[str, AfterValidator(_scorer), Field(json_schema_extra=_KNOWN)] | None = None
    """In place of the version's, on what it was fitted to and calibrated with."""
    threshold: NewThreshold | None = None
    """In place of the version's."""
    since: Moment | None = None
    """Only images scored at this moment or later."""
    until: Moment | None = None
    """Only images scored before."""

    def arguments(self) -> dict[str, Any]:
        """Return what ``app.past.replay.replay`` is asked for."""
        asked: dict[str, Any] = {
            name: getattr(self, name) for name in ("version", "scorer", "since", "until")
        }
        return asked | {"threshold": self.threshold and self.threshold.line()}


class CountInfo(Body):
    """How many images were flagged then, and would be now."""

    images: int
    flagged_then: int
    flagged_now: int

    @classmethod
    def of(cls, counted: Count) -> "CountInfo":
        """Return its form."""
        return cls(**asdict(counted))


class BinInfo(CountInfo):
    """Images of an hour or a day (UTC)."""

    start: AwareDatetime


class ChangedInfo(Body):
    """An image as it was judged then, and as it would be now."""

    then: ScoredInfo
    score: float
    threshold: float
    verdict: Word

    @classmethod
    def of(cls, changed: Changed, detector: str) -> "ChangedInfo":
        """Return its form."""
        return cls(
            then=ScoredInfo.of(changed.image, detector),
            score=changed.score,
            threshold=changed.threshold,
            verdict=changed.verdict,
        )


class ReplayInfo(Body):
    """What the past would have looked like; nothing was changed."""

    detector: str
    version: int
    """That judged."""
    scorer: str
    threshold: Threshold
    images: int
    left_out: int
    """Images that were not judged, for another backbone saw them."""
    then: dict[Word, int]
    """Images by what was said of them."""
    now: dict[Word, int]
    """Images by what would be said."""
    newly_flagged: int
    """Of images that had a verdict then."""
    no_longer_flagged: int
    step: Step
    """What a bin stands for."""
    bins: list[BinInfo]
    """In order of time; hours or days without images are left out."""
    changed: list[ChangedInfo]
    """Those that change most: verdicts that flip first, then by how far the score moves."""
    reviews: dict[ReviewWord, CountInfo]
    """Reviewed images, by the word that counts."""

    @classmethod
    def of(cls, replayed: Replayed) -> "ReplayInfo":
        """Return its form."""
        name = replayed.stored.entry.name
        return cls(
            detector=name,
            version=replayed.stored.detector.version,
            scorer=replayed.judge.spec.scorer,
            threshold=Threshold.of(replayed.judge.version, summary_of(replayed.judge)),
            images=replayed.images,
            left_out=replayed.left_out,
            then=dict(replayed.then),
            now=dict(replayed.now),
            newly_flagged=replayed.newly_flagged,
            no_longer_flagged=replayed.no_longer_flagged,
            step=replayed.step,
            bins=[BinInfo(start=start, **asdict(each)) for start, each in replayed.bins.items()],
            changed=[ChangedInfo.of(each, name) for each in replayed.changed],
            reviews={word: CountInfo.of(each) for word, each in replayed.reviews.items()},
        )
