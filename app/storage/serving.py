"""What of a detector serves, and what the next change builds on: who may move that, and when."""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Row, update

from app.clock import now
from app.storage.audit import By, record
from app.storage.tables import DETECTORS
from app.storage.version_rows import Change, Entry, find
from detector.errors import NotCalibratedError, NotFittedError

Promote = Literal["auto", "always", "never"]
"""Whether a new version goes into service; auto: unless scores would lose their threshold by it,
or another version was put in service while it was made."""


def serves(
    connection: Connection,
    before: Row[Any],
    summary: Mapping[str, Any],
    promote: Promote,
    serving: int,
) -> bool:
    """Return whether a new version of a locked detector goes into service.

    Args:
        connection: of the transaction that makes it.
        before: the detector's row.
        summary: of the new version.
        promote: as asked.
        serving: what was in service when the change began.
    """
    if promote != "auto":
        return promote == "always"
    now_serving = find(connection, before.name).version.summary
    loses = _holds(now_serving) and not _holds(summary)
    return bool(before.in_service == serving) and not loses


def leads(before: Row[Any], change: Change, base: int, promote: Promote, serving: int) -> bool:
    """Return whether the next change builds on a new version; args as ``serves``, and its base."""
    if change == "review":  # it waits for somebody to promote it, and no other change does that
        return False
    if change == "threshold":  # one for what serves leaves alone what is being prepared
        return bool(base == before.tip)
    # What may not serve by itself because somebody has put another version in service may not do
    # so through the next change either, which may be in line already.
    return promote != "auto" or bool(before.in_service == serving)


def aside(made: Entry, promote: Promote, serving: int) -> str:
    """Say why a new version does not serve if another was put in service meanwhile, else nothing.

    Args:
        made: the version, as it was found after it was made.
        promote: as asked.
        serving: what was in service when the change began.
    """
    version = made.version.version
    if promote != "auto" or made.in_service in (version, serving):
        return ""
    return (
        f"Version {version} does not serve: version {made.in_service} was put in service while it "
        f"was made, and stays. Promote version {version}, or build on it "
        f"as the base (--base {version})."
    )


def require_able(
    connection: Connection,
    before: Row[Any],
    version: int,
    *,
    allow_stale: bool = False,
    allow_uncalibrated: bool = False,
) -> None:
    """Refuse to put in service what cannot judge, or not as the version that serves does.

    Raises:
        UnknownVersionError
        NotFittedError: if it was never fitted.
        NotCalibratedError: if it has no threshold that holds and the one in service has, unless
            that is allowed.
    """
    named = f"version {version} of {before.name!r}"
    summary = find(connection, before.name, version).version.summary
    if not summary["fitted_images"]:
        raise NotFittedError(f"{named} was never fitted: it cannot judge")
    if allow_uncalibrated or (allow_stale and summary["threshold"]) or _holds(summary):
        return
    if _holds(find(connection, before.name).version.summary):
        raise NotCalibratedError(
            f"{named} has {'a stale' if summary['threshold'] else 'no'} threshold, and version "
            f"{before.in_service}, which serves, has one that holds: calibrate version "
            f"{version} first, as the base (--base {version}), or go on knowingly with "
            "allow_uncalibrated (--allow-uncalibrated)"
        )


def point(
    connection: Connection, before: Row[Any], by: By, verb: str, **values: int | None
) -> Entry:
    """Change what a locked detector points at. Raises UnknownVersionError."""
    for version in {number for number in values.values() if number is not None}:
        find(connection, before.name, version)  # as the detector is locked, it stays
    served = values.get("in_service", before.in_service)
    if served != before.in_service:
        values["previous"] = before.in_service
    if served == before.shadow:
        values["shadow"] = None  # it would agree with itself
    old = {key: getattr(before, key) for key in values}
    ours = DETECTORS.c.id == before.id
    connection.execute(update(DETECTORS).where(ours).values(updated_at=now(), **values))
    record(connection, by, f"version.{verb}", before.name, before=old, after=values)
    return find(connection, before.name)


def _holds(summary: Mapping[str, Any]) -> bool:
    """Return whether a version has a threshold that belongs to what it was fitted to."""
    return bool(summary["threshold"]) and not summary["stale"]
