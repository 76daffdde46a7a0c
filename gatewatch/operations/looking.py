"""Which files of a folder are samples: that depends on the detector's kind, so it is asked first.

Only a folder of this machine that has other files than images makes a request ask: of images alone
nothing could be left out. ``GET /v1/info`` tells the suffixes, of kinds too
that this client has never heard of.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from gatewatch.answers import DetectorList, Info
from gatewatch.calls import After, Call, Request, answers, document
from gatewatch.errors import ProblemError, UnexpectedAnswerError, UnknownDetectorError
from gatewatch.folders import OF_IMAGES, Looked, is_folder, is_mixed
from gatewatch.images import Images

T = TypeVar("T")
IMAGE = "image"


def looking(
    detectors: Sequence[str], samples: Sequence[Images | None], make: Callable[[Looked], Call[T]]
) -> Request[T]:
    """Return a request that sends samples; if there is a folder among them, after its questions.

    Args:
        detectors: That it is about; the samples are of their kind.
        samples: What may be a folder.
        make: Makes the request, of which files are samples.
    """
    if any(is_folder(each) and is_mixed(each) for each in samples):
        return After(look_of(detectors), make)
    return make(OF_IMAGES)


def look_of(detectors: Sequence[str]) -> Request[Looked]:
    """Return what asks which files are samples of some detectors."""

    def then(kind: str) -> Call[Looked]:
        return Call("GET /v1/info", lambda content: _looked(kind, content))

    return After(_kind_of(detectors), then)


def _looked(kind: str, content: bytes) -> Looked:
    if kind == IMAGE:  # which servers of old have, too, and tell of no kinds
        return OF_IMAGES
    kinds = answers(Info)(content).kinds
    if kind not in kinds:
        raise UnexpectedAnswerError(
            f"the detector is of kind {kind!r}, of which the server says nothing"
        )
    return Looked(frozenset(kinds[kind].suffixes), kinds[kind].pairs)


def _kind_of(detectors: Sequence[str]) -> Call[str]:
    """Return what asks for the kind of detectors: images', if there are none or several.

    What is wrong then is said by the answer to the request itself.
    """
    if len(detectors) == 1:
        return Call(
            "GET /v1/detectors/{name}",
            lambda content: _kind(document(content)),
            parts={"name": detectors[0]},
            instead=_unknown,
        )
    return Call("GET /v1/detectors", partial(_common, frozenset(detectors)))


def _kind(detector: Any) -> str:
    """Return the kind in what is told of a detector; servers of old have but one."""
    return str(detector.get("kind", IMAGE)) if isinstance(detector, dict) else IMAGE


def _common(names: frozenset[str], content: bytes) -> str:
    listed = answers(DetectorList)(content).detectors
    kinds = {each.kind for each in listed if each.name in names}
    return kinds.pop() if len(kinds) == 1 else IMAGE


def _unknown(problem: ProblemError) -> str:
    if isinstance(problem, UnknownDetectorError):
        return IMAGE
    raise problem
