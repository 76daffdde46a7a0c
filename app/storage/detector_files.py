"""Detectors as blobs: written once under names of their own, read once and kept at hand.

A name never changes its content, so it is the key of the cache. Versions of one fit share its file
and, in memory, its statistics and scorer.
"""

import uuid
from dataclasses import dataclass

from app.storage.blobs import Blobs
from app.storage.cache import Cache
from detector.artefact import decision_bytes, fit_bytes, read_fit, with_decision
from detector.detector import Detector
from detector.errors import ArtefactError

CACHED = 100
"""Detectors at hand, unless told."""


@dataclass(frozen=True, slots=True)
class Files:
    """The names of a version's blobs."""

    fit: str
    decision: str


def folder(detector_id: str) -> str:
    """Return the folder of everything a detector has stored."""
    return f"detectors/{detector_id}"


def network_blob(detector_id: str, run: str) -> str:
    """Return the name of the network that a run has trained, until a version holds it."""
    return f"{folder(detector_id)}/networks/{run}/network.safetensors"


class DetectorFiles:
    """Writes and reads the files of versions; so many fits and versions stay at hand."""

    def __init__(self, blobs: Blobs, cached: int = CACHED) -> None:
        self._blobs = blobs
        self._fits: Cache[Detector] = Cache(cached)
        self._versions: Cache[Detector] = Cache(cached)

    def write(
        self, detector_id: str, new: Detector, old: Detector | None = None, had: Files | None = None
    ) -> Files:
        """Write a version's files; one that would say the same as the old one's is named again."""
        fit = had.fit if had and old and _same_fit(new, old) else self._put(detector_id, "fit", new)
        return Files(fit, self._put(detector_id, "decision", new))

    def at_hand(self, files: Files, version: int) -> Detector | None:
        """Return a version if it is in memory."""
        return self._versions.get(_name(files, version))

    def read(self, files: Files, version: int) -> Detector:
        """Return a version.

        Raises:
            ArtefactError: if a file is damaged.
            MissingBlobError: if one is not there.
            StorageUnavailableError: if the bucket cannot be reached.
        """
        try:
            return self._versions.made(_name(files, version), lambda: self._read(files, version))
        except ArtefactError as error:
            raise ArtefactError(f"{files.fit} or {files.decision}: {error}") from error

    def decided(self, unfitted: Detector, files: Files, version: int) -> Detector:
        """Return a version as ``read`` does, but without what was fitted, and keep it nowhere."""
        at_hand = self.at_hand(files, version)
        if at_hand is not None:
            return at_hand
        try:
            return with_decision(unfitted, self._blobs.get(files.decision), version)
        except ArtefactError as error:
            raise ArtefactError(f"{files.decision}: {error}") from error

    def _read(self, files: Files, version: int) -> Detector:
        fitted = self._fits.made(files.fit, lambda: _ready(read_fit(self._blobs.get(files.fit))))
        return with_decision(fitted, self._blobs.get(files.decision), version)

    def remove(self, name: str) -> None:
        """Delete one file."""
        self._fits.drop(name)
        self._versions.drop(name)
        self._blobs.delete(name)

    def remove_all(self, detector_id: str) -> None:
        """Delete everything a detector has stored."""
        for cache in (self._fits, self._versions):
            cache.drop(folder(detector_id) + "/")
        self._blobs.delete_all(folder(detector_id))

    def _put(self, detector_id: str, kind: str, detector: Detector) -> str:
        name = f"{folder(detector_id)}/{kind}-{uuid.uuid4().hex}.safetensors"
        if kind == "fit":
            self._blobs.put(name, fit_bytes(detector))
            fitted = detector.having(calibration=None, threshold=None, stale=False)
            self._fits.keep(name, _ready(fitted))
        else:
            self._blobs.put(name, decision_bytes(detector))
        return name


def _ready(fitted: Detector) -> Detector:
    """Return it with what scoring needs: made here once, not in every version that shares it."""
    if fitted.statistics:
        fitted.ready()
    return fitted


def _name(files: Files, version: int) -> str:
    return f"{files.decision}#{version}"


def _same_fit(one: Detector, other: Detector) -> bool:
    return one.statistics is other.statistics and one.mask is other.mask and one.spec == other.spec
