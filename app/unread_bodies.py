"""Bodies that were answered before they were read: refused for their size, their key, the load.

What is left of a small one is read and dropped, so that the connection can be used again. A large
one, or one of unknown length, would come to the end for nothing, and a proxy that keeps connections
would wait for that: the answer says ``Connection: close``, which tells clients to stop sending, and
the connection lingers a while (``app.connections``) so that they can read the answer.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_BYTES = 2**20


class CloseUnread:
    """Ends the connection of a request whose large body nobody has read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and see how far its body was read when its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left = _announced(scope)

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                left = 0
            else:
                left -= len(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and left > SMALL_BYTES:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, counted, told)


def end_if_large(scope: Scope, headers: MutableHeaders) -> None:
    """Say in an answer that the connection ends, if the body is large and nobody has read it."""
    if _announced(scope) > SMALL_BYTES:
        headers["connection"] = "close"


def _announced(scope: Scope) -> float:
    """Return the bytes of a request's body; infinitely many if it does not say."""
    headers = Headers(scope=scope)
    # Who expects "100 Continue" may send the body or not, once told that it is not wanted.
    if "transfer-encoding" in headers or "expect" in headers:
        return float("inf")
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0
