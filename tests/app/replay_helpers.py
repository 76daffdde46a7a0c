"""A line whose past can be judged again, from inside, and what was said of it."""

from typing import Any

from history_helpers import NAME, Line, picture

from app.past.replay import replay
from app.past.tally import Replayed

ODD = (0, 0, 0, 20, 40, 90)


def again(bolts: Line, **asked: Any) -> Replayed:
    """Replay from inside."""
    found = bolts.call(replay, bolts.service, NAME, **asked)
    assert isinstance(found, Replayed)
    return found


def said(bolts: Line) -> list[dict[str, Any]]:
    """Return everything that was said."""
    return list(bolts.get("/history", limit=1000)["images"])


def lived(running: Line) -> Line:
    """Return a line whose versions 3 and 4 have scored; 5 was extended, and does not serve."""
    running.fit()
    pictures = [picture(5000 + i, ODD[i % len(ODD)]) for i in range(72)]
    running.score(pictures)
    answer = running.client.put(
        f"/v1/detectors/{NAME}/threshold", json={"method": "conformal", "target": 0.2}
    )
    assert answer.status_code == 200
    running.score(pictures[:24], group="late")
    extended = running.verb("fit", range(3000, 3020), mode="extend")  # it is not in service
    assert extended.status_code == 200
    return running
