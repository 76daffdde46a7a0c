"""Who may come in to be scored: decided before a body is read, whole requests or none.

What has come in of a request, its compressed bytes and its images, counts until its answer begins;
so what waits anywhere, for a decode thread or for the device, is bounded. Of a zip file its images'
bytes count as they are unpacked, in place of its own as soon as they are more. A request is refused
if there is no room, if those before it would keep it waiting too long, or if it cannot make its
deadline. Who is slow to send holds only what has been sent.

With r the requests whose bodies are here and t the seconds per image of late, it waits r t, for
requests take turns (``app.scoring.queue``): one with a single image stands behind each of the
others about once. t is learned in two ways::

    t <- t + a (s - t)             s = seconds / images answered, while there is enough to do
    t <- t + a (w / (r + n) - t)   if that is less, from any request of n images answered after w

for a request that found r before it has waited for them and for itself: so t comes down again after
a slow time, however few are let in. Only what was scored teaches.
"""

import math
import threading
import time
from collections.abc import Callable

from app.errors import OverloadedError
from app.telemetry import Telemetry

SMOOTHING = 0.2


class Admission:
    """The door; used in the event loop only, but for what a ticket unpacks.

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
        self.requests = self.images = self.bytes = 0
        """Requests whose bodies are here, their images, and the bytes of all that is here."""
        self._telemetry = telemetry
        self._most_images, self._most_bytes, self._most_s = images, total_bytes, seconds
        self._enough, self._clock = enough, clock
        self._image_s = 0.0
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._done = 0
        telemetry.admitted_bytes.set_function(lambda: self.bytes)

    def enter(self, size: int = 0, timeout_s: float = math.inf) -> "Ticket":
        """Let a request in, or refuse it; the ticket has to be given back.

        Args:
            size: bytes of the body, as far as they are announced.
            timeout_s: how long the answer is of use.

        Raises:
            OverloadedError: if it cannot be let in now, with the time after which to come again.
        """
        self._require(1, size)
        waits_s = self.requests * self._image_s
        if waits_s > self._most_s:
            raise self._refusal(
                "overload",
                f"behind {self.requests} request(s) this one would wait {waits_s:.1f} s, and at "
                f"most {self._most_s:g} s are allowed: repeat it later",
                waits_s - self._most_s,
            )
        if self.requests and waits_s + self._image_s > timeout_s:
            raise self._refusal(
                "deadline",
                f"behind {self.requests} request(s) it would take "
                f"{waits_s + self._image_s:.2f} s and has {timeout_s:.2f} s: repeat it later, or "
                "give it more time",
                waits_s,
            )
        return Ticket(self)

    def _require(self, images: int, size: int) -> None:
        """Refuse what there is no room for."""
        if self.images + images > self._most_images:
            raise self._refusal(
                "overload",
                f"{images} image(s) for {max(0, self._most_images - self.images)} free place(s) in "
                "the queue: repeat the request later",
                (self.images + images - self._most_images) * self._image_s,
                images,
            )
        if self.bytes + size > self._most_bytes:
            raise self._refusal(
                "overload",
                f"{size} bytes for {max(0, self._most_bytes - self.bytes)} free ones: repeat the "
                "request later",
                self.images * self._image_s,
            )

    def _refusal(self, reason: str, text: str, after_s: float, images: int = 1) -> OverloadedError:
        self._telemetry.images_rejected.labels(reason).inc(images)
        return OverloadedError(text, max(1, math.ceil(after_s)))

    def _arrived(self, ticket: "Ticket") -> None:
        self.requests += 1
        self.images += ticket.images
        if self._since_s is None and self.images >= self._enough:
            self._since_s, self._done = self._clock(), 0

    def _left(self, ticket: "Ticket", *, scored: bool) -> None:
        self.requests -= 1
        self.images -= ticket.images
        if scored:
            self._learn_from(ticket)
        if self.images < self._enough:
            self._since_s = None

    def _learn_from(self, ticket: "Ticket") -> None:
        now_s = self._clock()
        at_most_s = (now_s - ticket.arrived_s) / (ticket.before + ticket.images)
        if at_most_s < self._image_s:
            self._learn(at_most_s)
        if self._since_s is None:
            return
        # Only as long as there is enough to do: an image alone takes its time without being slow.
        self._done += ticket.images
        if self._done >= self._enough:
            self._learn((now_s - self._since_s) / self._done)
            self._since_s, self._done = now_s, 0

    def _learn(self, image_s: float) -> None:
        self._image_s += (SMOOTHING if self._image_s else 1.0) * (image_s - self._image_s)


class Ticket:
    """What one request holds while it is inside."""

    def __init__(self, admission: Admission) -> None:
        self.images = self.size = self.before = 0
        """Images and bytes that are here; requests that were when it arrived."""
        self.arrived_s = math.nan
        self._admission = admission
        self._has_left = False

    @property
    def has_arrived(self) -> bool:
        """Whether the whole body is here."""
        return self.images > 0

    def hold(self, size: int) -> None:
        """Hold more bytes, which have come.

        Raises:
            OverloadedError: if there is no room for them.
        """
        with self._admission._lock:
            self._hold(size)

    def unpack(self, size: int) -> None:
        """Hold as many bytes as were unpacked in all, if they are more; on any thread.

        A request alone is never refused: it unpacks to no more than the largest body.

        Raises:
            OverloadedError: if there is no room for them.
        """
        with self._admission._lock:
            self._hold(max(0, size - self.size))

    def _hold(self, size: int) -> None:
        if self._has_left:  # who unpacks is told so, too, but not at once
            return
        self._admission._require(0, size)
        self.size += size
        self._admission.bytes += size

    def arrive(self, images: int) -> None:
        """Say that the body is here, with at least one image in it.

        Raises:
            OverloadedError: if there is no room for so many.
        """
        self._admission._require(images, 0)
        self.images, self.before = images, self._admission.requests
        self.arrived_s = self._admission._clock()
        self._admission._arrived(self)

    def leave(self, *, scored: bool = False) -> None:
        """Give back all that is held, once; what was scored teaches how long it takes."""
        with self._admission._lock:
            if self._has_left:
                return
            self._has_left = True
            self._admission.bytes -= self.size
        if self.has_arrived:
            self._admission._left(self, scored=scored)
