"""Networks that have learned from a detector's normal samples, read once and kept at hand.

They are small and run in the process that scores, on its device, beside the service's backbone.
"""

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Any

from app.storage.cache import Cache
from detector.detector import Detector
from detector.errors import ArtefactError
from detector.kinds import LearnedKind, learned_kind
from detector.kinds.learned import Learned, device_of, read


class Networks:
    """By fingerprint: what is learned on one is meaningless on another.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``, as the settings say.
        kept: how many stay at hand.
    """

    def __init__(self, device: str, kept: int) -> None:
        self.device = device_of(device)
        self._at_hand: Cache[Learned] = Cache(kept)

    async def of(self, detector: Detector) -> Learned | None:
        """Return a detector's network, read off the event loop; None if its kind learns none.

        Raises:
            ArtefactError: if its file is damaged, or of another network.
        """
        kind = learned_kind(detector.spec.kind)
        if kind is None:
            return None
        fingerprint = detector.spec.backbone_fingerprint
        found = self._at_hand.get(fingerprint)
        make = partial(self._read, kind, detector)
        return found or await asyncio.to_thread(self._at_hand.made, fingerprint, make)

    def _read(self, kind: LearnedKind[Any, Any], detector: Detector) -> Learned:
        learned = read(kind, detector.network, self.device)
        spec = detector.spec
        if (learned.fingerprint, asdict(learned.view)) != (spec.backbone_fingerprint, spec.view):
            raise ArtefactError("the network in it is another than the detector was fitted on")
        return learned

    def keep(self, learned: Learned) -> None:
        """Have a network at hand."""
        self._at_hand.keep(learned.fingerprint, learned)
