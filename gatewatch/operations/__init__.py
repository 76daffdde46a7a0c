"""What the API offers: a function for each operation, which makes the request and sends nothing."""

from gatewatch.operations import (
    admin,
    detectors,
    drift,
    learning,
    past,
    scoring,
    service,
    thresholds,
    versions,
)

__all__ = [
    "admin",
    "detectors",
    "drift",
    "learning",
    "past",
    "scoring",
    "service",
    "thresholds",
    "versions",
]
