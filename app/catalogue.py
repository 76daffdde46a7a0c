"""The detectors there are: created, found, replaced by their next version, deleted."""

import asyncio
from collections.abc import Sequence
from typing import Any

from app.at_hand import AtHand
from app.images.masks import Mask
from app.storage import Storage, history
from app.storage.audit import By
from app.storage.version_reader import Stored
from app.storage.version_rows import Entry
from app.telemetry import Telemetry
from detector.descriptors import REGIONAL
from detector.detector import Detector
from detector.embeds import Embeds
from detector.errors import FingerprintMismatchError, InvalidSpecError, NotCalibratedError
from detector.kinds import DEFAULT_KIND, Kind, kind_of, learned_kind
from detector.kinds.learned import backbone_of
from detector.scorers import DEFAULT_SCORER, SCORERS
from detector.spec import Mask as MaskKind
from detector.spec import Spec


class Catalogue:
    """What is stored, shown in the metrics, and only used with the backbone that runs."""

    def __init__(self, storage: Storage, embedder: Embeds, telemetry: Telemetry) -> None:
        self._storage = storage
        self._embedder = embedder
        self._telemetry = telemetry
        self._at_hand = AtHand(storage.versions)

    def create(
        self,
        name: str,
        by: By,
        *,
        backbone: str = "",
        mask: Mask | None = None,
        mask_kind: MaskKind = "none",
        **what: Any,
    ) -> Stored:
        """Create a detector that has seen nothing yet.

        Args:
            name: of the detector.
            by: who creates it.
            backbone: must be the one that runs; empty for just that.
            mask: what counts of every image, if ``mask_kind`` is fixed.
            mask_kind: none, fixed or request.
            what: kind, view, scorer, descriptor, image_size and options, as ``Spec`` takes them;
                without a scorer it is the kind's own.

        Raises:
            InvalidSpecError, InvalidMaskError, DetectorExistsError
        """
        learned = learned_kind(what.get("kind", DEFAULT_KIND))
        scorer = what.pop("scorer", "") or (learned.scorer if learned else DEFAULT_SCORER)
        ours, fingerprint = self._embedder.name, self._embedder.fingerprint
        if learned:
            learned.require_installed()
            ours, fingerprint = backbone_of(learned), ""
        if backbone not in {"", ours}:
            raise InvalidSpecError(f"this service runs backbone {ours!r} only")
        spec = Spec(name, ours, fingerprint, scorer, mask=mask_kind, **what)
        if not learned:
            self._check_blocks(spec)
        if mask is not None:
            self._embedder.weights(mask, spec.image_size)  # refuse now what no fit could use
        return self.show(self._storage.versions.create(Detector(spec, mask), by))

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

    def get(self, name: str, version: int | None = None) -> Stored:
        """Return a detector, by default at its version in service.

        Raises:
            UnknownDetectorError, UnknownVersionError
        """
        return self._storage.versions.get(name, version)

    async def kind(self, name: str) -> Kind:
        """Return what a detector's samples are, whatever its version. Raises UnknownDetectorError.

        What another process has changed is seen within half a second.
        """
        stored = self._storage.versions.recent(name)
        if stored is not None:
            return kind_of(stored.detector.spec.kind)
        return kind_of_entry(await asyncio.to_thread(self._storage.versions.entry, name))

    def base(self, name: str, version: int | None) -> Stored:
        """Return the version that a change builds on, by default the tip.

        Raises:
            UnknownDetectorError, UnknownVersionError
        """
        if version is None:
            version = self._storage.versions.entry(name).tip
        return self.get(name, version)

    def with_threshold(self, name: str, version: int | None) -> Entry:
        """Return what is known of a version that has a threshold; no file is read.

        Raises:
            UnknownDetectorError, UnknownVersionError
            NotCalibratedError: if it has none.
        """
        entry = self._storage.versions.entry(name, version)
        if entry.version.summary["threshold"] is None:
            raise NotCalibratedError(f"detector {name!r} has no threshold: calibrate it or set one")
        return entry

    def promote(
        self,
        name: str,
        version: int,
        by: By,
        *,
        allow_stale: bool = False,
        allow_uncalibrated: bool = False,
    ) -> Entry:
        """Put a version in service.

        Raises:
            UnknownDetectorError, UnknownVersionError, NotFittedError
            StaleCalibrationError: if its calibration belongs to other moments, unless allowed.
            NotCalibratedError: if verdicts would lose their threshold by it, unless allowed.
        """
        if not allow_stale:
            self.get(name, version).detector.require_fresh()
        allowed = {"allow_stale": allow_stale, "allow_uncalibrated": allow_uncalibrated}
        return self._shown(self._storage.versions.promote(name, version, by, **allowed))

    def rollback(self, name: str, by: By, *, allow_uncalibrated: bool = False) -> Entry:
        """Put the version in service that was before the one that is.

        Raises:
            UnknownDetectorError, NoPreviousVersionError, NotFittedError
            NotCalibratedError: if verdicts would lose their threshold by it, unless allowed.
        """
        allowed = {"allow_uncalibrated": allow_uncalibrated}
        return self._shown(self._storage.versions.rollback(name, by, **allowed))

    def all(self) -> list[Entry]:
        """Return every detector at its version in service, by name; no file is read."""
        return self._storage.versions.all()

    def delete(self, name: str, by: By) -> None:
        """Delete a detector and all that is kept of it. Raises UnknownDetectorError."""
        gone = self._storage.versions.delete(name, by)
        self._storage.blobs.delete_all(history.folder(gone))
        self._telemetry.forget(name)

    async def usable(self, name: str, version: int | None, *, allow_stale: bool) -> Stored:
        """Return a fitted detector of the backbone that runs; a file may have to be read.

        What another process has changed is seen within half a second.

        Raises:
            UnknownDetectorError, UnknownVersionError, NotFittedError, FingerprintMismatchError
            StaleCalibrationError: if its calibration belongs to other moments, unless allowed.
        """
        stored = await self._at_hand.get(name, version)
        stored.detector.require_fitted()
        if not allow_stale:
            stored.detector.require_fresh()
        self.check_fingerprint(stored.detector)
        return stored

    async def look_up(self, names: Sequence[str]) -> None:
        """Read what is known of many detectors at once, before each is asked for as ``usable``."""
        await self._at_hand.look_up(names)

    async def stop(self) -> None:
        """Wait for what is being read, so that the database can be closed."""
        await self._at_hand.stop()

    def check_fingerprint(self, detector: Detector) -> None:
        """Refuse what was fitted on another backbone. Raises FingerprintMismatchError."""
        if learned_kind(detector.spec.kind) is not None:
            return  # it has a network of its own
        theirs, ours = detector.spec.backbone_fingerprint, self._embedder.fingerprint
        if theirs != ours:
            raise FingerprintMismatchError(
                f"detector {detector.spec.name!r} was fitted on backbone {theirs[:12]}, this "
                f"service runs {ours[:12]}: fit it again with mode=replace and calibrate it"
            )

    def show(self, stored: Stored) -> Stored:
        """Return it, and show it in the metrics."""
        self._shown(stored.entry)
        return stored

    def _shown(self, entry: Entry) -> Entry:
        self._telemetry.detector(entry)
        return entry


def kind_of_entry(entry: Entry) -> Kind:
    """Return what the samples of a detector are of which a row is known."""
    return kind_of(entry.version.summary["spec"].get("kind", DEFAULT_KIND))
