"""Proposals made of reviews: shown with what they would change, and kept as versions when asked."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from app.errors import StorageUnavailableError
from app.past.proposing import RULES, Candidate, Rule, candidate
from app.past.rejudging import Judge, rejudge
from app.past.reviewed import Reviewed, reviewed
from app.service import Service
from app.storage.audit import By
from app.storage.history import KeptChunk, ScoredImage
from app.storage.lineage import Delta, Image
from app.storage.reviews import ReviewWord
from app.storage.row_chunks import Arrival
from app.storage.version_reader import Stored
from detector.errors import DetectorError
from detector.verdict import Threshold

HISTORY_IMAGES = 2_000
"""Scored images on which proposals are tried, the latest; a replay tries them on all."""
CHUNK_IMAGES = 64


@dataclass(slots=True)
class Shift:
    """How many of some images the version in service flags, and how many a proposal would."""

    images: int = 0
    before: int = 0
    after: int = 0

    def add(self, before: Bool[np.ndarray, " n"], after: Bool[np.ndarray, " n"]) -> None:
        """Count some images."""
        self.images += len(before)
        self.before += int(before.sum())
        self.after += int(after.sum())


@dataclass(slots=True)
class Proposal:
    """A proposal and what it would change, or why there is none.

    Attributes:
        rule: by which it is made.
        refused: why there is none.
        made: the detector as it would be, and the reviewed images it takes in.
        reviews: by word, of the reviewed images.
        history: of the latest images that were scored.
    """

    rule: Rule
    refused: DetectorError | None = None
    made: Candidate | None = None
    reviews: dict[ReviewWord, Shift] = field(default_factory=dict)
    history: Shift = field(default_factory=Shift)


@dataclass(frozen=True, slots=True)
class Proposals:
    """What may be done about a version in service, and the reviews it is made of."""

    stored: Stored
    known: Reviewed
    proposals: Sequence[Proposal]


async def propose(service: Service, name: str, *, target: float | None = None) -> Proposals:
    """Return what the reviews of a detector suggest for its version in service.

    Args:
        service: that runs.
        name: of the detector.
        target: highest false-alarm rate for a conformal line; None for that of the present one.

    Raises:
        UnknownDetectorError, NotFittedError
        NotCalibratedError: if it has no threshold.
    """
    stored = await asyncio.to_thread(service.catalogue.get, name)
    stored.detector.require_fitted()
    stored.detector.require_threshold()
    known = await reviewed(service, stored)
    found = [await _tried(service, stored, known, rule, target) for rule in RULES]
    made = [proposal for proposal in found if proposal.made is not None]
    if made:
        await _count(service, stored, known, made)
    return Proposals(stored, known, found)


async def apply(
    service: Service, name: str, rule: Rule, by: By, *, target: float | None = None
) -> Stored:
    """Keep a proposal as a new version, out of service; the images it takes in, with it.

    Raises:
        as ``app.past.proposing.candidate``, and ConflictError.
    """
    stored = await asyncio.to_thread(service.catalogue.get, name)
    known = await reviewed(service, stored)
    made = await candidate(service, stored, known, rule, target)
    kept = await asyncio.to_thread(_kept, service, stored, known, made, rule, target, by)
    return service.catalogue.show(kept)


async def _tried(
    service: Service, stored: Stored, known: Reviewed, rule: Rule, target: float | None
) -> Proposal:
    try:
        return Proposal(rule, made=await candidate(service, stored, known, rule, target))
    except DetectorError as error:
        return Proposal(rule, refused=error)


async def _count(
    service: Service, stored: Stored, known: Reviewed, proposals: Sequence[Proposal]
) -> None:
    """Count what each proposal changes of the reviewed images and of the latest scored ones."""
    judges = [Judge.of(stored), *(_judge(stored, proposal) for proposal in proposals)]
    assert known.rows is not None  # nothing is proposed without
    calls = [partial(judge.detector.scores, known.rows) for judge in judges]
    scores = [await service.in_pool(call) for call in calls]
    flags = [_flags(*each, known.images) for each in zip(judges, scores, strict=True)]
    for word in sorted(set(known.words)):
        which = known.are(word)
        for proposal, after in zip(proposals, flags[1:], strict=True):
            proposal.reviews.setdefault(word, Shift()).add(flags[0][which], after[which])
    chunks = await asyncio.to_thread(service.history.kept.chunks, stored.entry.id)
    async for part in rejudge(service, stored.entry, judges, _latest(chunks)):
        flags = [_flags(*each, part.images) for each in zip(judges, part.scores, strict=True)]
        for proposal, after in zip(proposals, flags[1:], strict=True):
            proposal.history.add(flags[0], after)


def _judge(stored: Stored, proposal: Proposal) -> Judge:
    assert proposal.made is not None
    fit = stored.entry.version.files.fit if proposal.rule != "extend" else None
    return Judge(proposal.made.detector, fit)


def _flags(
    judge: Judge, scores: Float[np.ndarray, " n"], images: Sequence[ScoredImage]
) -> Bool[np.ndarray, " n"]:
    line: Threshold = judge.detector.require_threshold()
    flags: np.ndarray = scores > np.array([line.line(image.group) for image in images])
    return flags


def _latest(chunks: Sequence[KeptChunk]) -> list[KeptChunk]:
    taken, images = 0, 0
    for chunk in reversed(chunks):
        if images >= HISTORY_IMAGES:
            break
        taken, images = taken + 1, images + chunk.images
    return list(chunks[len(chunks) - taken :])


def _kept(
    service: Service,
    stored: Stored,
    known: Reviewed,
    made: Candidate,
    rule: Rule,
    target: float | None,
    by: By,
) -> Stored:
    run = uuid.uuid4().hex
    detector_id = stored.entry.id
    try:
        images = _copied(service, stored, run, known, made.taken)
        asked = {"rule": rule, "target": target, "images": len(images)}
        return service.storage.versions.add(
            stored,
            made.detector,
            "review",
            by,
            parameters={key: value for key, value in asked.items() if value is not None},
            images=_deltas(service, stored, rule, images),
            promote="never",
        )
    except StorageUnavailableError:  # it may have been kept all the same: the sweep knows later
        raise
    except BaseException:
        service.chunks.remove_run(detector_id, run)
        raise


def _copied(
    service: Service, stored: Stored, run: str, known: Reviewed, taken: Sequence[int]
) -> list[Image]:
    """Copy the rows of reviewed images from the history, which forgets, to the detector's own."""
    if not service.settings.keep_fitted_rows:
        chosen = [known.images[place] for place in taken]
        return [Image(image.sha256, image.name, image.group) for image in chosen]
    assert known.rows is not None
    found: list[Image] = []
    for number, start in enumerate(range(0, len(taken), CHUNK_IMAGES)):
        places = taken[start : start + CHUNK_IMAGES]
        chosen = [known.images[place] for place in places]
        arrivals = [
            Arrival(image.name, image.group, "normal", image.sha256, row)
            for row, image in enumerate(chosen)
        ]
        rows = known.rows.take(places)
        backbone = stored.detector.spec.backbone_fingerprint
        chunk = service.chunks.write(stored.entry.id, run, number, arrivals, rows, 1, backbone)
        found += chunk.images("normal")
    return found


def _deltas(service: Service, stored: Stored, rule: Rule, images: Sequence[Image]) -> list[Delta]:
    """Return what the version does to the images of the one it is made from."""
    if rule == "extend":
        return [Delta("fit", added=images)]
    calibration = stored.detector.calibration
    earlier = service.storage.versions.calibration_images(stored.entry)
    if rule != "conformal" or calibration is None or len(earlier) != len(calibration):
        return []  # of an imported detector the scores are known, the images are not
    anomalies = service.storage.versions.known_anomalies(stored.entry)
    return [Delta("calibrate", added=[*earlier, *images]), Delta("anomaly", added=anomalies)]
