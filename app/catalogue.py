"""The detectors there are: created, found, replaced by their next version, deleted."""

import asyncio
import logging
from typing import Any
from weakref import WeakValueDictionary

from app.errors import UnknownDetectorError
from app.masks import Mask
from app.storage import Storage, Stored
from app.telemetry import Telemetry
from detector.descriptors import REGIONAL
from detector.detector import Detector
from detector.embedder import Embedder
from detector.errors import ArtefactError, FingerprintMismatchError, InvalidSpecError
from detector.scorers import SCORERS
from detector.spec import Mask as MaskKind
from detector.spec import Spec

log = logging.getLogger(__name__)


class Catalogue:
    """What is stored, shown in the metrics, and only used with the backbone that runs."""

    def __init__(self, storage: Storage, embedder: Embedder, telemetry: Telemetry) -> None:
        self._storage = storage
        self._embedder = embedder
        self._telemetry = telemetry
        # Weak, so that a lock lives only as long as somebody holds or awaits it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def create(
        self,
        name: str,
        *,
        backbone: str = "",
        mask: Mask | None = None,
        mask_kind: MaskKind = "none",
        **what: Any,
    ) -> Stored:
        """Create a detector that has seen nothing yet.

        Args:
            name: of the detector.
            backbone: must be the one that runs; empty for just that.
            mask: what counts of every image, if ``mask_kind`` is fixed.
            mask_kind: none, fixed or request.
            what: scorer, descriptor, image_size and options, as ``Spec`` takes them.

        Raises:
            InvalidSpecError, InvalidMaskError, DetectorExistsError
        """
        if backbone not in {"", self._embedder.name}:
            raise InvalidSpecError(f"this service runs backbone {self._embedder.name!r} only")
        spec = Spec(name, self._embedder.name, self._embedder.fingerprint, mask=mask_kind, **what)
        self._check_blocks(spec)
        if mask is not None:
            self._embedder.weights(mask, spec.image_size)  # refuse now what no fit could use
        return self.show(self._storage.create(Detector(spec, mask)))

    def _check_blocks(self, spec: Spec) -> None:
        places = self._embedder.regional
        if not places and (spec.descriptor == REGIONAL or SCORERS[spec.scorer].regional):
            raise InvalidSpecError(
                f"backbone {spec.backbone!r} has no block at strides 4 to 16, which "
                f"{spec.scorer!r} looks at: use scorer gaussian or prototype"
            )
        known = places if spec.descriptor == REGIONAL else tuple(self._embedder.channels)
        unknown = sorted(set(spec.options.blocks) - set(known))
        if unknown:
            raise InvalidSpecError(
                f"no block(s) {', '.join(map(repr, unknown))} for descriptor "
                f"{spec.descriptor!r}; there is: {', '.join(known)}"
            )

    def get(self, name: str) -> Stored:
        """Return a detector. Raises UnknownDetectorError."""
        return self._storage.get(name)

    def all(self) -> list[Stored]:
        """Return every detector whose file can be read, by name; log the others."""
        readable = []
        for name in self._storage.names():
            try:
                readable.append(self._storage.get(name))
            except UnknownDetectorError:
                pass  # deleted since its name was read
            except ArtefactError:
                log.exception("detector %r cannot be served: delete it and fit it anew", name)
        return readable

    def delete(self, name: str) -> None:
        """Delete a detector. Raises UnknownDetectorError."""
        self._storage.delete(name)
        self._telemetry.forget(name)

    async def usable(self, name: str) -> Detector:
        """Return a fitted detector of the backbone that runs; a file may have to be read."""
        detector = (await asyncio.to_thread(self.get, name)).detector
        detector.require_fitted()
        self.check_fingerprint(detector)
        return detector

    def check_fingerprint(self, detector: Detector) -> None:
        """Refuse what was fitted on another backbone. Raises FingerprintMismatchError."""
        theirs, ours = detector.spec.backbone_fingerprint, self._embedder.fingerprint
        if theirs != ours:
            raise FingerprintMismatchError(
                f"detector {detector.spec.name!r} was fitted on backbone {theirs[:12]}, this "
                f"service runs {ours[:12]}: fit it again with mode=replace"
            )

    async def put(self, old: Detector, new: Detector) -> Stored:
        """Put the next version in place of the old one. Raises ConflictError."""
        return self.show(await asyncio.to_thread(self._storage.put, old, new))

    def writing(self, name: str) -> asyncio.Lock:
        """Return the lock that keeps changes of one detector in this process in line."""
        return self._locks.setdefault(name, asyncio.Lock())

    def show(self, stored: Stored) -> Stored:
        """Return it, and show it in the metrics."""
        self._telemetry.detector(stored.detector)
        return stored
