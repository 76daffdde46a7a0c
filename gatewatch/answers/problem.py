"""What went wrong, as it stands in answers; as an exception it is in ``gatewatch.errors``."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What went wrong: ``type`` is stable, ``detail`` says what to do."""

    type: str
    title: str
    status: int
    detail: str
