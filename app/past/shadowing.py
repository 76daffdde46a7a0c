"""A shadow: a version that scores alongside the one in service, and how often the two agree."""

import asyncio
from dataclasses import dataclass

from app.errors import ShadowInServiceError
from app.service import Service
from app.storage.audit import By
from app.storage.shadows import Agreement
from app.storage.version_rows import Entry
from detector.errors import FingerprintMismatchError


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A detector, and what was counted of its shadow, if it has one that has judged an image."""

    entry: Entry
    agreement: Agreement | None


async def show(service: Service, name: str) -> Shadowed:
    """Return which version scores alongside, and how often it agreed.

    Raises:
        UnknownDetectorError
    """
    await service.history.flush()
    return await asyncio.to_thread(_counted, service, name)


async def follow(service: Service, name: str, version: int, by: By) -> Shadowed:
    """Let a version score alongside the one in service; what both say counts from here on.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError, FingerprintMismatchError
        NotCalibratedError: if it has no threshold, so that it could disagree with nothing.
        ShadowInServiceError: if it is in service.
    """
    other = await service.catalogue.usable(name, version, allow_stale=True)
    other.detector.require_threshold()
    if version == other.entry.in_service:
        raise ShadowInServiceError(
            f"version {version} of {name!r} is in service, it would agree with itself: name another"
        )
    serving = (await asyncio.to_thread(service.catalogue.get, name)).detector
    ours, theirs = (each.spec.backbone_fingerprint for each in (serving, other.detector))
    if serving.statistics and theirs != ours:
        raise FingerprintMismatchError(
            f"version {version} of {name!r} has another network than version "
            f"{other.entry.in_service}, which is in service: an image passes one of them alone"
        )
    await asyncio.to_thread(service.storage.versions.shadow, name, version, by)
    return await show(service, name)


async def unfollow(service: Service, name: str, by: By) -> None:
    """Let no version score alongside; what was counted stays.

    Raises:
        UnknownDetectorError
    """
    await asyncio.to_thread(service.storage.versions.shadow, name, None, by)


def _counted(service: Service, name: str) -> Shadowed:
    entry = service.storage.versions.entry(name)
    if entry.shadow is None:
        return Shadowed(entry, None)
    return Shadowed(entry, service.history.shadows.get(entry.id, entry.in_service, entry.shadow))
