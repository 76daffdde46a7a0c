"""What a notice says: one JSON object, the same in every sink.

Its form is that which Standard Webhooks 1.0.0 recommends (``type`` and ``timestamp`` first); see
docs/notices.md. An alarm and its end share ``alarm``, the id of the notice that told it first.
"""

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.access.credentials import without_secrets

Content = Mapping[str, Any]
ALARM, RESOLVED, TEST = "drift.alarm", "drift.resolved", "notice.test"
_IDS = uuid.UUID("6e3ce0a0-6f2c-4c5c-9d4a-0d5c2d1f7a11")  # any of our own


@dataclass(frozen=True, slots=True)
class Ending:
    """How alarms end: by which action of the audit, by whom and why; in words what it means."""

    action: str
    who: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """What happened, as the end of a sentence."""
        return {
            "drift.acknowledge": "it was acknowledged",
            "drift.rebaseline": "later traffic was taken for normal",
            "detector.delete": "the detector was deleted",
        }.get(self.action, "the traffic is compared with another calibration now")


ANOTHER_BASELINE = Ending("baseline.change")
"""Nobody said a word to the alarm: what it was an alarm against is not the baseline any more."""


def identity(*parts: object) -> str:
    """Return the id of a notice: whoever makes the same notice again gives it the same."""
    return uuid.uuid5(_IDS, "\n".join(map(str, parts))).hex


def alarm(
    detector_id: str,
    detector: str,
    *,
    version: int,
    monitor: str,
    stream: str,
    image: str,
    image_number: int,
    at: datetime,
    evidence_log10: float,
    threshold_log10: float,
    promise: str,
    summary: str,
    top_images: Sequence[str],
) -> dict[str, Any]:
    """Return the notice of an alarm; what evidence is not finite is null, as JSON has it."""
    own = identity(detector_id, stream, image_number, at.isoformat())
    return {
        "id": own,
        "type": ALARM,
        "timestamp": at.isoformat(),
        "detector": detector,
        "version": version,
        "monitor": monitor,
        "stream": stream,
        "image": image,
        "image_number": image_number,
        "evidence_log10": _finite(evidence_log10),
        "threshold_log10": _finite(threshold_log10),
        "promise": promise,
        "alarm": own,
        "started_at": at.isoformat(),
        "resolved_at": None,
        "resolved_by": None,
        "standing": [],
        "summary": summary,
        "top_images": list(top_images),
        "links": {"drift": f"/v1/detectors/{detector}/drift", "image": f"/v1/images/{image}"},
    }


def ended(told: Content, ending: Ending, at: datetime) -> dict[str, Any]:
    """Return the notice that an alarm, of which this was told, has ended."""
    lasted = f"{told['monitor']} of {told['detector']}" + (
        "" if told["monitor"] == told["stream"] else f" ({told['stream']})"
    )
    by = {
        "action": ending.action,
        "who": ending.who,
        "reason": without_secrets(ending.reason),
    }
    return {
        **told,
        "id": identity(told["id"], RESOLVED),
        "type": RESOLVED,
        "timestamp": at.isoformat(),
        "resolved_at": at.isoformat(),
        "resolved_by": by,
        "summary": f"The alarm of {lasted} has ended: {ending.words}.",
    }


def trial(own: str, at: datetime) -> dict[str, Any]:
    """Return a notice of nothing, to see whether it arrives."""
    return {
        "id": own,
        "type": TEST,
        "timestamp": at.isoformat(),
        "detector": None,
        "summary": "This is a test: notices of gatewatch arrive here.",
    }


def body(content: Content) -> bytes:
    """Return what goes over the wire, byte for byte the same at every attempt."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
