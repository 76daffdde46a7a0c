"""Who may come in to be scored: decided before a body is read, whole requests or none.

A request counts from its headers to its answer, with its images and its compressed bytes; so what
waits anywhere, to arrive, for a decode thread or for the device, is bounded. It is refused if there
is no room, if those before it would keep it waiting too long, or if it cannot make its deadline.

With r the requests whose bodies are here and t the seconds per image of late, it waits r t: a
request that comes with one image stands behind each of the others about once, however large they
are (``app.scoring.queue``). Who is slow to send holds a place, and keeps nobody waiting.
"""

import math
import time
from collections.abc import Callable

from app.errors import OverloadedError
from app.telemetry import Telemetry

SMOOTHING = 0.2


class Admission:
    """The door; used in the event loop only.

    Args:
        telemetry: counts who is refused.
        images: most that are inside at the same time.
        total_bytes: most compressed bytes that are; at least those of the largest body.
        seconds: longest that a request may have to wait for those before it.
        enough: images inside from which on the service is working as fast as it can.
        clock: in seconds.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        images: int,
        total_bytes: int,
        seconds: float,
        enough: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.images = self.bytes = 0
        """Held by all who are inside."""
        self._requests = self._present = 0
        """Requests, and images, of those whose bodies are here."""
        self._telemetry = telemetry
        self._most_images, self._most_bytes, self._most_s = images, total_bytes, seconds
        self._enough, self._clock = enough, clock
        self._image_s = 0.0
        self._since_s: float | None = None
        self._done = 0
        telemetry.admitted_bytes.set_function(lambda: self.bytes)

    def enter(self, size: int = 0, timeout_s: float = math.inf) -> "Ticket":
        """Let a request in, for one image until more are known; the ticket has to be given back.

        Args:
            size: bytes of the body, as far as they are announced.
            timeout_s: how long the answer is of use.

        Raises:
            OverloadedError: if it cannot be let in now, with the time after which to come again.
        """
        self._require(1, size)
        waits_s = self._requests * self._image_s
        if waits_s > self._most_s:
            raise self._refusal(
                "overload",
                f"behind {self._requests} request(s) this one would wait {waits_s:.1f} s, and at "
                f"most {self._most_s:g} s are allowed: repeat it later",
            )
        if self._requests and waits_s + self._image_s > timeout_s:
            raise self._refusal(
                "deadline",
                f"behind {self._requests} request(s) it would take "
                f"{waits_s + self._image_s:.2f} s and has {timeout_s:.2f} s: repeat it later, or "
                "give it more time",
            )
        ticket = Ticket(self)
        ticket.hold(images=1, size=size)
        return ticket

    @property
    def retry_after_s(self) -> int:
        """After how long a place is likely to be free, in whole seconds, at least one."""
        return max(1, math.ceil(self._requests * self._image_s - self._most_s))

    def _require(self, images: int, size: int) -> None:
        """Refuse what there is no room for."""
        if self.images + images > self._most_images:
            raise self._refusal(
                "overload",
                f"{images} image(s) for {max(0, self._most_images - self.images)} free place(s) in "
                "the queue: repeat the request later",
                images,
            )
        if self.bytes + size > self._most_bytes:
            raise self._refusal(
                "overload",
                f"{size} bytes for {max(0, self._most_bytes - self.bytes)} free ones: repeat the "
                "request later",
            )

    def _refusal(self, reason: str, text: str, images: int = 1) -> OverloadedError:
        self._telemetry.images_rejected.labels(reason).inc(images)
        return OverloadedError(text, self.retry_after_s)

    def _arrived(self, images: int) -> None:
        self._requests += 1
        self._present += images
        if self._since_s is None and self._present >= self._enough:
            self._since_s, self._done = self._clock(), 0

    def _answered(self, images: int) -> None:
        self._requests -= 1
        self._present -= images
        if self._since_s is None:
            return
        # Only as long as there is enough to do: an image alone takes its time without being slow.
        self._done += images
        if self._done >= self._enough:
            now_s = self._clock()
            each_s = (now_s - self._since_s) / self._done
            self._image_s += (SMOOTHING if self._image_s else 1.0) * (each_s - self._image_s)
            self._since_s, self._done = now_s, 0
        if self._present < self._enough:
            self._since_s = None


class Ticket:
    """What one request holds while it is inside."""

    def __init__(self, admission: Admission) -> None:
        self.images = self.size = 0
        self._admission = admission
        self._has_arrived = self._has_left = False

    def hold(self, *, images: int = 0, size: int = 0) -> None:
        """Hold more, all of it or nothing.

        Raises:
            OverloadedError: if there is no room for it.
        """
        self._admission._require(images, size)
        self.images += images
        self.size += size
        self._admission.images += images
        self._admission.bytes += size

    def arrive(self, images: int) -> None:
        """Say that the body is here, and how many images are in it.

        Raises:
            OverloadedError: if there is no room for so many.
        """
        self.hold(images=images - self.images)
        self._admission._arrived(images)
        self._has_arrived = True

    def leave(self) -> None:
        """Give back all that is held; once is enough."""
        if self._has_left:
            return
        self._has_left = True
        self._admission.images -= self.images
        self._admission.bytes -= self.size
        if self._has_arrived:
            self._admission._answered(self.images)
