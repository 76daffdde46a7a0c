"""Detectors as models of the open inference protocol (V2): what they give, and what they say.

V2 has no errors of single images: a request with an image that cannot be scored is refused before
anything is judged, counted or kept, and can be sent again without it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import UnavailableError
from app.images.sources import Upload
from app.scoring.arriving import Arrived
from app.scoring.looking import look_of, require_images
from app.service import Service
from app.storage.version_reader import Stored
from app.storage.version_rows import Version
from detector.detector import Detector
from detector.verdict import Verdict

OutputName = Literal["score", "threshold", "flag", "p_value"]


@dataclass(frozen=True, slots=True)
class Modelled:
    """A detector as a model: all of its versions, and what the one that is shown gives."""

    name: str
    versions: list[Version]
    outputs: list[OutputName]


@dataclass(frozen=True, slots=True)
class Inferred:
    """The verdicts on the images of one request, in its order, and what is to be told of them."""

    model: str
    version: int
    outputs: list[OutputName]
    verdicts: list[Verdict]


async def model(service: Service, name: str, version: int | None = None) -> Modelled:
    """Return what a detector is as a model.

    Raises:
        UnknownDetectorError, UnknownVersionError, WrongKindError
    """
    stored = await asyncio.to_thread(service.catalogue.get, name, version)
    require_images(stored.detector)
    known = await asyncio.to_thread(service.storage.versions.versions, name)
    return Modelled(name, known, outputs_of(stored.detector))


async def require_ready(service: Service, name: str, version: int | None = None) -> Stored:
    """Return the detector if images sent now would be scored.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError, StaleCalibrationError,
        FingerprintMismatchError, UnavailableError
        MaskMismatchError: if it needs a mask with the images, which V2 cannot carry.
    """
    if not service.ready:
        raise UnavailableError("the service is starting or stopping")
    stored = await service.catalogue.usable(name, version, allow_stale=False)
    look_of(stored.detector, None)
    return stored


async def infer(
    service: Service,
    name: str,
    upload: Upload,
    outputs: Sequence[OutputName] = (),
    *,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
) -> Inferred:
    """Score images, all or none; outputs that were not asked for by name are those there are.

    Raises:
        as ``Service.score``, and
        NotCalibratedError: if an output is asked for by name that the detector cannot give yet.
        SampleError, InferenceError: of the first image that cannot be scored, which it names.
    """
    stored = await service.catalogue.usable(name, version, allow_stale=allow_stale)
    detector = stored.detector
    if {"threshold", "flag"} & set(outputs):
        detector.require_threshold()
    if "p_value" in outputs:
        detector.require_calibrated()
    look = look_of(detector, None)
    arrivals = await service.ingest.embed_now(upload.images, look, upload.deadline_s)
    for index, arrived in enumerate(arrivals):
        if not isinstance(arrived, Arrived):
            raise type(arrived)(f"image {index} (the first is 0): {arrived}") from arrived
    scored = await service.verdicts.of(stored, upload.images, arrivals, group=group)
    verdicts = [result.verdict for result in scored.results if result.verdict]
    return Inferred(name, scored.version, list(outputs) or outputs_of(detector), verdicts)


def outputs_of(detector: Detector) -> list[OutputName]:
    """Return what a detector can say of an image as it is."""
    outputs: list[OutputName] = ["score"]
    if detector.threshold is not None:
        outputs += ["threshold", "flag"]
    if detector.calibration is not None:
        outputs += ["p_value"]
    return outputs
