"""Notes as they lie in the log: what a monitor needs of images, and their squeezes beside it.

A note that was taken holds the images that a thinning leaves alone, with their numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, groupby
from typing import Any

import numpy as np
from jaxtyping import Float32

from app.errors import ConflictError
from app.monitoring.baselines import key_of
from app.monitoring.notes import Image, Monitored, Note
from app.storage.drift_notes import Mark, Untaken, Written
from detector.drift.state import INPUTS
from detector.tensor_file import pack, unpack

_NOTE, _TAKEN, _SQUEEZES, _FORMAT = "drift note", "drift note taken", "drift squeezes", 1


@dataclass(frozen=True, slots=True)
class Logged:
    """Images of one version in order of arrival, and the key of its calibration."""

    version: int
    key: str
    images: Sequence[Image]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a process has gathered of one detector, and does not know to be in the log."""

    detector_id: str
    source: str
    batch: int
    dropped: int
    logged: Logged
    squeezes: Float32[np.ndarray, "n c"] | None
    """Of those images that have one."""

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.logged.images)


def gathered(source: str, batch: int, notes: Sequence[Note], dropped: int) -> list[Gathered]:
    """Return one detector's images in order, those of each version together.

    How many could not be noted is in the first one. Numbers of a batch go on from this one.
    """
    found: list[Gathered] = []
    for _, part in groupby(notes, key=lambda note: note.stored.detector.version):
        found.append(_gathered(source, batch + len(found), [*part], 0 if found else dropped))
    return found


def nothing(detector_id: str, source: str, batch: int, dropped: int) -> Gathered:
    """Return what says without images how many could not be noted."""
    return Gathered(detector_id, source, batch, dropped, Logged(0, "", ()), None)


def _gathered(source: str, batch: int, notes: Sequence[Note], dropped: int) -> Gathered:
    detector = notes[0].stored.detector
    images, rows = [], []
    for note in notes:
        looks: Sequence[Sequence[float] | None] = note.inputs or [None] * len(note.ids)
        wholes = [False] * len(note.ids)
        if note.squeeze is not None:
            whole = np.isfinite(note.squeeze).all(axis=1)
            rows.append(note.squeeze[whole])
            wholes = whole.tolist()
        one = zip(note.ids, note.scores, looks, wholes, strict=True)
        images += [Image(name, note.at, score, look, whole) for name, score, look, whole in one]
    logged = Logged(detector.version, key_of(detector.require_calibrated()), images)
    squeezes = np.concatenate(rows) if any(each.squeezed for each in images) else None
    return Gathered(notes[0].stored.entry.id, source, batch, dropped, logged, squeezes)


def written(own: Gathered) -> Written:
    """Return the note of what another process may take."""
    logged = own.logged
    squeezed = np.array([each.squeezed for each in logged.images], dtype=np.bool_)
    header = {"version": logged.version, "key": logged.key}
    content = _packed(_NOTE, header, logged.images, {"squeezed": squeezed} if own.images else {})
    squeezes = None if own.squeezes is None else _squeezes(own.squeezes)
    return _note(own, content, squeezes)


def read(note: Untaken | Gathered) -> Logged:
    """Return the images of a note. Raises ArtefactError if it is damaged."""
    if isinstance(note, Gathered):
        return note.logged
    about, tensors = unpack(_NOTE, _FORMAT, note.content)
    squeezed = tensors["squeezed"].tolist() if len(tensors["scores"]) else []
    every = zip(*_columns(about, tensors), squeezed, strict=True)
    images = [Image(*values) for values in every]
    return Logged(about["version"], about["key"], images)


def marked(
    note: Untaken, images: Sequence[Image], numbers: dict[int, int], squeezes: bytes | None
) -> Mark:
    """Return what is left of a note when it is taken: these places, under these numbers.

    The squeezes are given if not all of them are left. Raises ConflictError if they are not those
    of all its images any more, and ArtefactError if they are damaged.
    """
    if squeezes is not None:
        _, tensors = unpack(_SQUEEZES, _FORMAT, squeezes)
        if len(tensors["squeeze"]) != sum(each.squeezed for each in images):
            raise ConflictError("another process has taken the note")
        squeezes = _squeezes(_left(tensors["squeeze"], images, numbers))
    return Mark(
        note.id, min(numbers.values()), max(numbers.values()), _taken(images, numbers), squeezes
    )


def taken(own: Gathered, numbers: dict[int, int]) -> Written:
    """Return what is left of a note that is taken before it is in the log: as ``marked``."""
    images = own.logged.images
    assert own.squeezes is not None  # else no image has a number
    squeezes = _squeezes(_left(own.squeezes, images, numbers))
    note = _note(own, _taken(images, numbers), squeezes)
    return replace(note, number=min(numbers.values()), last=max(numbers.values()))


def monitored(content: bytes, squeezes: bytes) -> list[Monitored]:
    """Return the images of a note that was taken. Raises ArtefactError if it is damaged."""
    about, tensors = unpack(_TAKEN, _FORMAT, content)
    _, beside = unpack(_SQUEEZES, _FORMAT, squeezes)
    numbers = tensors["numbers"].tolist()
    every = zip(numbers, *_columns(about, tensors), beside["squeeze"], strict=True)
    return [
        Monitored(number, name, at, score, tuple(look), row)
        for number, name, at, score, look, row in every
    ]


def _note(own: Gathered, content: bytes, squeezes: bytes | None) -> Written:
    place = (own.detector_id, own.source, own.batch)
    return Written(*place, own.images, own.dropped, content, squeezes)


def _taken(images: Sequence[Image], numbers: dict[int, int]) -> bytes:
    left = [images[place] for place in numbers]
    return _packed(_TAKEN, {}, left, {"numbers": np.array([*numbers.values()], dtype=np.int64)})


def _left(
    squeezes: Float32[np.ndarray, "n c"], images: Sequence[Image], numbers: dict[int, int]
) -> Float32[np.ndarray, "m c"]:
    """Return the squeezes of the images at these places; not all images have one."""
    rows = np.cumsum([each.squeezed for each in images]) - 1
    left: np.ndarray = squeezes[rows[[*numbers]]]
    return left


def _packed(
    kind: str,
    header: dict[str, object],
    images: Sequence[Image],
    tensors: dict[str, np.ndarray],
) -> bytes:
    unknown = (np.nan,) * len(INPUTS)
    looks = [unknown if each.look is None else tuple(each.look) for each in images]
    moments = [(at.isoformat(), len([*part])) for at, part in groupby(each.at for each in images)]
    header = {**header, "ids": [each.id for each in images], "moments": moments}
    columns = {
        "scores": np.array([each.score for each in images], dtype=np.float64),
        "looks": np.array(looks, dtype=np.float64).reshape(-1, len(INPUTS)),
    }
    return pack(kind, _FORMAT, header, {**columns, **tensors})


def _columns(
    about: dict[str, Any], tensors: dict[str, np.ndarray]
) -> tuple[list[str], list[datetime], list[float], list[list[float]]]:
    """Return ids, moments, scores and looks."""
    moments = ([datetime.fromisoformat(at)] * count for at, count in about["moments"])
    scores, looks = tensors["scores"].tolist(), tensors["looks"].tolist()
    return about["ids"], [*chain.from_iterable(moments)], scores, looks


def _squeezes(rows: Float32[np.ndarray, "n c"]) -> bytes:
    return pack(_SQUEEZES, _FORMAT, {}, {"squeeze": rows})
