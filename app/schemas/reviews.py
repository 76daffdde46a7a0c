"""Reviews, and what is proposed because of them."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints

from app.past.proposals import Proposal, Proposals, Shift
from app.past.proposing import RULES
from app.problems import Problem, of
from app.schemas.base import Body
from app.schemas.thresholds import Threshold
from app.storage.cursor import Cursor
from app.storage.reviews import Review, ReviewWord
from app.storage.version_rows import summary_of

Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


class NewReview(Body):
    """A person's word on an image; the latest counts."""

    image: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
    """Its id, as the score tells it."""
    word: ReviewWord
    """Of a flagged image: confirmed or false_alarm. Of one that was not: passed, which it was right
    to let pass, or missed."""
    note: Note = ""


class ReviewInfo(Body):
    """One word on one image."""

    id: str
    image: str
    word: ReviewWord
    note: str
    who: str
    at: AwareDatetime

    @classmethod
    def of(cls, review: Review) -> "ReviewInfo":
        """Return its form."""
        return cls(
            id=review.id,
            image=review.image_id,
            word=review.word,
            note=review.note,
            who=review.who,
            at=review.at,
        )


class ReviewPage(Body):
    """Reviews, newest first."""

    reviews: list[ReviewInfo]
    next: str | None
    """What to give as cursor to read on; none at the end."""

    @classmethod
    def of(cls, reviews: Sequence[Review], limit: int) -> "ReviewPage":
        """Return the first ``limit`` of these; one beyond tells that there are more."""
        shown = reviews[:limit]
        more = str(Cursor(shown[-1].at, shown[-1].id)) if len(reviews) > limit else None
        return cls(reviews=[ReviewInfo.of(review) for review in shown], next=more)


class ShiftInfo(Body):
    """How many of some images are flagged in service, and how many would be."""

    images: int
    flagged_before: int
    flagged_after: int

    @classmethod
    def of(cls, shift: Shift) -> "ShiftInfo":
        """Return its form."""
        return cls(images=shift.images, flagged_before=shift.before, flagged_after=shift.after)


class Proposed(Body):
    """The detector as it would be, and what that would change."""

    threshold: Threshold
    """Its stale says whether it must be calibrated again before it can serve."""
    images_added: int
    """Reviewed images that become calibration images (threshold) or are fitted (images)."""
    reviews: dict[ReviewWord, ShiftInfo]
    """Of the reviewed images, by the word that counts."""
    history: ShiftInfo
    """Of the latest images that were scored, some thousands at most; a replay goes through all."""


class ProposalInfo(Body):
    """One way to do justice to the reviews, or the problem that keeps it from being one."""

    kind: Literal["threshold", "images"]
    rule: Literal["conformal", "between", "extend"]
    proposed: Proposed | None
    problem: Problem | None

    @classmethod
    def of(cls, proposal: Proposal) -> "ProposalInfo":
        """Return its form."""
        kind, made, refused = RULES[proposal.rule], proposal.made, proposal.refused
        proposed = made and Proposed(
            threshold=Threshold.of(made.detector.version, summary_of(made.detector)),
            images_added=len(made.taken),
            reviews={word: ShiftInfo.of(shift) for word, shift in proposal.reviews.items()},
            history=ShiftInfo.of(proposal.history),
        )
        problem = of(refused) if refused else None
        return cls(kind=kind, rule=proposal.rule, proposed=proposed, problem=problem)


class ProposalList(Body):
    """What may be done about the version in service; nothing is done yet."""

    detector: str
    version: int
    """In service, on which all of it builds."""
    reviewed: int
    """Images with a word that were looked at."""
    left_out: int
    """Images with a word whose rows are gone, or beyond the latest hundreds."""
    proposals: list[ProposalInfo]

    @classmethod
    def of(cls, proposals: Proposals) -> "ProposalList":
        """Return their form."""
        return cls(
            detector=proposals.stored.entry.name,
            version=proposals.stored.detector.version,
            reviewed=len(proposals.known.images),
            left_out=proposals.known.left_out,
            proposals=[ProposalInfo.of(each) for each in proposals.proposals],
        )
