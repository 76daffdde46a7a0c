"""The server process: how it listens, how it ends on a signal, and how when nothing works any more.

First SIGTERM or SIGINT: it drains (``app.health.draining``) and then ends. Second, or while it
starts: it ends at once. When the device is lost it drains, too, and ends with exit code 1, for
whoever started it to start another. It ends in any case: what hangs beyond drain and ``GRACE_S`` is
left behind.
"""

import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app import connections, listening
from app.health.draining import Drain
from app.priority import interrupt_nobody
from app.settings import Settings

log = logging.getLogger("uvicorn.error")

GRACE_S = 10.0
"""How long a server may take to stop its parts after the drain."""
SWITCH_S = 0.0005


class Server(uvicorn.Server):
    """Drains between the signal and uvicorn's own end."""

    def __init__(self, config: uvicorn.Config, drain: Drain, drain_s: float) -> None:
        super().__init__(config)
        self.failed = False
        """Whether it ends because it can serve no more."""
        self._drain = drain
        self._drain_s = drain_s
        self._signal: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and then leave out of every later collection what is there for good.

        Libraries and models are some 370,000 objects. To look through them takes 0.2 s, in which
        nobody is answered, and it would be done just when many requests wait.
        """
        try:
            await super().startup(sockets)
            listening.require_open(sockets or ())
        except OSError as error:  # somebody listens there since it was bound
            log.error("%s", listening.refusal(error, self.config.host, self.config.port))
            await self._give_up()
            return
        if sockets:  # else it is told already
            log.info("Uvicorn running on %s (Press CTRL+C to quit)", _url(sockets))
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the drain begins with the next tick, some 0.1 s later at most.

        A server that starts has nothing under way, and no ticks: it ends whatever it waits for.
        """
        if self._signal is not None or not self.started:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            os._exit(128 + sig)  # the first process of a container, whom no default signal ends
        self._signal = sig

    def fail(self) -> None:
        """End, because nothing can be scored any more."""
        self.failed = True

    async def _give_up(self) -> None:
        """End before it has begun to serve."""
        self.failed = self.should_exit = True
        if not self.started:  # else it is shut down as any other
            for listener in self.servers:
                listener.close()
            await self.lifespan.shutdown()

    async def on_tick(self, counter: int) -> bool:
        """Begin the drain when it is asked for, and end once it is over."""
        asked = self.failed or self._signal is not None
        if asked and not self._drain.begun.is_set():
            self._drain.begin()
            end = threading.Timer(self._drain_s + GRACE_S, os._exit, [1])
            end.daemon = True
            end.start()
        if asked and self._drain.done:
            if self._signal is None:
                self.should_exit = True
            else:  # which is passed on in the end, as a shell would have it
                super().handle_exit(self._signal, None)
        return await super().on_tick(counter)


def serve(app: FastAPI, settings: Settings, sockets: Sequence[socket.socket] | None = None) -> bool:
    """Serve until a signal; return whether it ended in good order.

    Args:
        app: that is served.
        settings: of the process.
        sockets: bound already, for who has to load the application first; else they are here.

    Raises:
        CannotListenError: if there are none, and they cannot be bound.
    """
    if sockets is None:
        with listening.bound(settings.host, settings.port) as ours:
            return serve(app, settings, ours)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=connections.protocol(settings.body_seconds, app.state.doorkeeper.refusal),
        log_level=settings.log_level,
        access_log=False,  # the middleware writes one line per request
        timeout_keep_alive=65,  # longer than a load balancer's usual 60 s
        timeout_graceful_shutdown=1,  # for answers on their way: the drain is over by then
    )
    suit_threads()
    server = Server(config, app.state.drain, settings.drain_seconds)
    app.state.service.ingest.batcher.on_fatal = server.fail
    server.run(sockets=list(sockets))
    return not server.failed


def suit_threads() -> None:
    """Set this process, and the threads it starts, to what a service under load needs.

    Threads that decode, embed and judge ask for the interpreter some ten times an image, and the
    event loop of a service under load lets go of it only when it has to: by default after 5 ms.
    """
    sys.setswitchinterval(SWITCH_S)
    interrupt_nobody()


def _url(sockets: Sequence[socket.socket]) -> str:
    """Return where the first one is; the others are other addresses of the same host."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
