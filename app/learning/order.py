"""How a change by images is asked for: by whom, of what, under which run, told to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.learning.collecting import Progress
from app.storage.audit import By
from app.storage.serving import Promote


@dataclass(frozen=True, slots=True)
class Order:
    """How a change is asked for.

    Attributes:
        by: who wants it, and why.
        run: name under which it can be taken up again.
        base: version it builds on; None for the tip.
        promote: whether the new version goes into service.
        progress: called with how many images were just done.
        parameters: as asked, for the version's lineage.
        detector_id: of the detector that is meant; empty for whichever has the name.
        serving: version that was in service when it began; None for when its base is read.
        expect: called with how much more is to be done than there are images.
    """

    by: By
    run: str
    base: int | None = None
    promote: Promote = "auto"
    progress: Progress = lambda _: None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    detector_id: str = ""
    serving: int | None = None
    expect: Progress = lambda _: None
