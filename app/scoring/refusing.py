"""Why an image is not embedded now, and when to come again."""

import math
import time

from app.errors import OverloadedError
from app.scoring.pace import Pace
from app.scoring.queue import Queue
from app.telemetry import Telemetry


class Refusals:
    """What is told to those who have no place in the queue or no time; on any thread."""

    def __init__(self, telemetry: Telemetry, queue: Queue, pace: Pace) -> None:
        self._telemetry, self._queue, self._pace = telemetry, queue, pace

    @property
    def ahead(self) -> int:
        """Images that are embedded before one that is submitted now to be scored."""
        return self._queue.scoring + self._queue.under_way

    def of(self, reason: str, text: str, images: int = 1) -> OverloadedError:
        """Return what is said to a request of so many images, which are counted as rejected."""
        self._telemetry.images_rejected.labels(reason).inc(images)
        return OverloadedError(text, max(1, math.ceil(self._pace.seconds(self.ahead))))

    def require_time(self, deadline_s: float, images: int = 1) -> None:
        """Raise OverloadedError if the time of images, of ``time.perf_counter``, is up."""
        if time.perf_counter() > deadline_s:
            text = "the request's time was up before its turn came: repeat it later"
            raise self.of("deadline", text, images)

    def require_room(self, images: int, deadline_s: float) -> None:
        """Raise OverloadedError if so many find no room now, or would not be done in time."""
        room = self._queue.room
        if images > room:
            raise self.of(
                "overload",
                f"{images} image(s) for {room} free place(s) in the queue: repeat the request "
                "later",
                images,
            )
        self.require_time(deadline_s, images)
        ahead = self.ahead
        # A device that nobody waits for is always tried: from nothing else could it be learned
        # that it is faster than it was.
        takes_s, left_s = self._pace.seconds(ahead + images), deadline_s - time.perf_counter()
        if ahead and takes_s > left_s:
            raise self.of(
                "deadline",
                f"{images} image(s) behind {ahead} would take {takes_s:.2f} s and have "
                f"{left_s:.2f} s: repeat the request later, or give it more time",
                images,
            )
