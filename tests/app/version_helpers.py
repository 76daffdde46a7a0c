"""What the tests of versions ask of a detector over HTTP."""

from hashlib import sha256
from typing import Any

from history_helpers import NAME, Line, picture
from http_helpers import followed

PROBES = [picture(9000 + i, odd) for i, odd in enumerate((0, 10, 25, 60, 90))]
ADDRESS = f"/v1/detectors/{NAME}"


def digests(seeds: range) -> list[str]:
    """Return the digests of pictures."""
    return [sha256(picture(seed)).hexdigest() for seed in seeds]


def forget(bolts: Line, seeds: range, **query: Any) -> Any:
    """Forget pictures; return the job's end."""
    body = {"sha256": digests(seeds)}
    return followed(bolts.client, bolts.client.post(f"{ADDRESS}/forget", json=body, params=query))


def draw(bolts: Line, value: float, **query: Any) -> Any:
    """Set a threshold by hand."""
    body = {"method": "manual", "value": value}
    return bolts.client.put(f"{ADDRESS}/threshold", json=body, params=query)


def promote(bolts: Line, version: int, **query: Any) -> Any:
    """Put a version in service."""
    return bolts.client.post(f"{ADDRESS}/versions/{version}/promote", params=query)


def delete(bolts: Line, version: int) -> Any:
    """Delete a version."""
    return bolts.client.delete(f"{ADDRESS}/versions/{version}")


def serving(bolts: Line) -> tuple[int, int]:
    """Return the version in service and the tip."""
    shown = bolts.get("")
    return shown["in_service"], shown["tip"]


def scores(bolts: Line, version: int) -> list[dict[str, Any]]:
    """Return what a version says of the probes, without what is each time another."""
    results = bolts.score(PROBES, version=version, allow_stale=True)
    keys = ("score", "threshold", "p_value", "verdict", "margin", "blocks")
    return [{key: result.get(key) for key in keys} for result in results]
