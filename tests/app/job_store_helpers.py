"""Jobs as rows: submitted and claimed in a word, under leases whose clock is moved by hand."""

from typing import Any

import pytest
from key_helpers import BY, Clock

from app.storage.jobs import Job, Jobs

LEASE_S = 30.0
BOLTS, NUTS = "b" * 32, "c" * 32
"""Ids of two detectors."""


def submitted(jobs: Jobs, detector: str = BOLTS, **more: Any) -> Job:
    name = {BOLTS: "bolts", NUTS: "nuts"}.get(detector, detector[:8])
    return jobs.submit("fit", detector, name, {"promote": "auto"}, BY, **more)[0]


def claimed(jobs: Jobs, owner: str = "one") -> str | None:
    job = jobs.claim(owner, LEASE_S)
    return None if job is None else job.id


def by_hand(patch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that leases are measured with from now on."""
    clock = Clock()
    for module in ("jobs", "leases"):
        patch.setattr(f"app.storage.{module}.now", clock.moment)
    return clock
