"""How long a client may keep a connection, beyond what the application can see of it.

- Headers have ``seconds`` to come, as has a new connection on which nothing is said, and one that
  is kept on which only blank lines are.
- An answer that waits to be taken has ``seconds``, and a second more for every ``BYTES_PER_S``
  bytes that are; then the connection is cut, and what waits is dropped. So a client that never
  reads holds nothing for good; a stream of events waits only while nobody reads it. What the system
  holds to be sent is counted, too: it takes more from us only when a good part of that is gone.
- Who is refused for the load is told so at once, from its headers (``app.admit``), without a task
  and the way through the application: refusals come by the hundreds a second.
- What is left of a body after its answer is dropped. Where the connection goes on, it has
  ``seconds`` to come. Where it ends, it lingers for ``LINGER_S``: closed at once, with bytes that
  nobody has read, the system would reset it, and the client would lose the answer on its way.
"""

import fcntl
import logging
import struct
import termios
from asyncio import TimerHandle
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.connection_writes import Transport
from app.slow_bodies import BYTES_PER_S

log = logging.getLogger(__name__)

LINGER_S = 5.0
LEAST_S = 0.01
"""Who has taken less than is worth this much time takes nothing."""


class _Limited(HttpToolsProtocol):
    """Ends connections whose clients keep them waiting, and refuses whom it is told to."""

    seconds: float
    refusal: Callable[[Scope], Response | None]
    transport: Any
    _overdue: TimerHandle | None = None
    """Ends the wait for what the client has to send."""
    _untaken: TimerHandle | None = None
    """Ends the wait for the client to take what was sent."""
    _has_begun = False
    """Whether a head has begun in what came just now, and not ended; most are whole."""
    _waiting = 0
    """Bytes that waited when that was looked at last."""

    def connection_made(self, transport: Any) -> None:
        closing = Transport(transport, self.loop, self._close)
        super().connection_made(closing)  # type: ignore[arg-type]
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        self._is_taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # then it is dropped
            return
        super().data_received(data)
        if (self._has_begun or self._is_unwatched()) and not self.transport.is_closing():
            self._has_begun = False  # once for all of a head, however many pieces it comes in
            self._expect()

    def on_message_begin(self) -> None:
        self._has_begun = True
        self._unset_keepalive_if_required()  # set when a dropped body has ended in the same piece
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_begun = False
        self._expect_nothing()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self.transport.is_closing():  # an answer in the same piece has ended it: as if unsent
            return
        refusal = self._refusal(cycle.scope)
        if refusal is None:
            super()._start_asgi_task(cycle, app)
        else:
            _run(refusal(cycle.scope, cycle.receive, cycle.send))

    def _refusal(self, scope: Scope) -> Response | None:
        # In a pipeline, which goes on where an answer ends, each refusal would begin the next one.
        # And a client that does not take its answers has to be waited for.
        if self.pipeline or self.flow.write_paused:
            return None
        try:
            return self.refusal(scope)
        except Exception:
            log.exception("the door failed")  # here it would be a 400; the application tells it
            return None

    def on_response_complete(self) -> None:
        self.transport.flush()
        super().on_response_complete()
        # The newest request may be one that waits behind this answer: it has its time yet.
        unread = self.cycle.response_complete and self.cycle.more_body
        if unread and not self.transport.is_closing():
            self._expect()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:  # as after an answer: the body has ended the wait
            self.cycle.more_body = False
            self._expect_nothing()
            if self.transport.is_closing():
                self._end()  # nothing is left unread, for which it would have to linger
                return
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _is_unwatched(self) -> bool:
        """Whether nothing ends the wait for a request: blank lines are none, but end uvicorn's."""
        is_answered = self.cycle is not None and self.cycle.response_complete
        return is_answered and self._overdue is None and self.timeout_keep_alive_task is None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._see_it_taken()

    def resume_writing(self) -> None:
        self._is_taken()
        super().resume_writing()

    def _close(self) -> None:
        self._expect_nothing()
        real = self.transport.real
        if self.cycle is not None and self.cycle.more_body and real.can_write_eof():
            real.write_eof()
            real.resume_reading()
            self._overdue = self.loop.call_later(LINGER_S, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self.transport.real.close()
        if self._untaken is None:
            self._see_it_taken()

    def _expect(self) -> None:
        self._expect_nothing()
        self._overdue = self.loop.call_later(self.seconds, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _see_it_taken(self) -> None:
        self._is_taken()
        self._waiting = _waiting(self.transport.real)
        self._untaken = self.loop.call_later(self.seconds, self._look)

    def _look(self) -> None:
        before, self._waiting = self._waiting, _waiting(self.transport.real)
        more_s = (before - self._waiting) / BYTES_PER_S
        if more_s < LEAST_S:
            self.transport.real.abort()
        else:
            self._untaken = self.loop.call_later(more_s, self._look)

    def _is_taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None


def _waiting(transport: Any) -> int:
    """Return the bytes that are still to reach the client: here, and in the system if it tells."""
    size = int(transport.get_write_buffer_size())
    try:
        held = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return size
    return size + int(struct.unpack("i", held)[0])


def _run(answer: Coroutine[Any, Any, None]) -> None:
    """Run to its end what waits for nothing."""
    try:
        answer.send(None)
    except StopIteration:
        return
    raise AssertionError("an answer waits, that was to be given at once")


def protocol(
    seconds: float, refusal: Callable[[Scope], Response | None] = lambda _: None
) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with these limits.

    Args:
        seconds: that a client may keep a connection waiting.
        refusal: what is answered at once to a request that does not reach the application.
    """
    return type("Limited", (_Limited,), {"seconds": seconds, "refusal": staticmethod(refusal)})
