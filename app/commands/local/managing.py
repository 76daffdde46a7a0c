"""Which detectors and versions there are, and which serve, in the words of the client."""

from app.commands.common import answer
from app.commands.local.base import Base, by
from app.schemas.detectors import DetectorInfo
from app.schemas.versions import VersionInfo
from app.storage.version_rows import Entry
from gatewatch import answers


class Managing(Base):
    """List, show, put in service, go back, delete."""

    def detectors(self) -> list[answers.DetectorInfo]:
        """Return all detectors, by name."""
        return [_info(entry) for entry in self._service.catalogue.all()]

    def detector(self, name: str) -> answers.DetectorInfo:
        """Return a detector's state."""
        return _info(self._service.storage.versions.entry(name))

    def versions(self, name: str) -> list[answers.VersionInfo]:
        """Return all versions with their lineage, oldest first."""
        found = self._service.storage.versions.versions(name)
        return [answer(answers.VersionInfo, VersionInfo.of(each)) for each in found]

    def promote(
        self, name: str, version: int, *, allow_stale: bool, allow_uncalibrated: bool, reason: str
    ) -> answers.DetectorInfo:
        """Put a version in service."""
        allowed = {"allow_stale": allow_stale, "allow_uncalibrated": allow_uncalibrated}
        return _info(self._service.catalogue.promote(name, version, by(reason), **allowed))

    def rollback(self, name: str, *, allow_uncalibrated: bool, reason: str) -> answers.DetectorInfo:
        """Put the version in service that was before the one that is."""
        rolled = self._service.catalogue.rollback(
            name, by(reason), allow_uncalibrated=allow_uncalibrated
        )
        return _info(rolled)

    def delete(self, name: str, *, reason: str) -> None:
        """Delete a detector and what it has learned."""
        self._service.catalogue.delete(name, by(reason))


def _info(entry: Entry) -> answers.DetectorInfo:
    return answer(answers.DetectorInfo, DetectorInfo.of(entry))
