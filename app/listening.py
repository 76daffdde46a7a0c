"""The sockets a server will listen on: bound before anything is loaded, to be refused at once.

They are bound, and not listened on: whoever connects before the server serves is refused, as if
nobody were there yet, and does not wait in a queue.
"""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
"""As ``socket.getaddrinfo`` gives it."""
HOST, PORT = "--host (GATEWATCH_HOST)", "--port (GATEWATCH_PORT)"


class CannotListenError(OSError):
    """The server cannot listen where it is told to; the message says what to do."""


@contextmanager
def bound(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Give a socket for each address of a host, none for all of this machine; they end with it.

    Raises:
        CannotListenError: if the port is in use, or not for this user, or the host is elsewhere.
    """
    with ExitStack() as held:
        yield [held.enter_context(each) for each in _bound(host, port)]


def refusal(error: OSError, host: str, port: int) -> CannotListenError:
    """Return why nobody can listen there, and what to do."""
    match error.errno:
        case errno.EADDRINUSE:
            words = f"port {port} is in use: stop what uses it, or choose another with {PORT}"
        case errno.EACCES | errno.EPERM:
            words = f"port {port} is not for this user: choose one above 1023 with {PORT}"
        case errno.EADDRNOTAVAIL:
            words = f"{host} is no address of this machine: choose one with {HOST}"
        case _:
            words = (
                f"cannot listen on {host}, port {port} ({error.strerror or error}): choose others "
                f"with {HOST} and {PORT}"
            )
    return CannotListenError(words)


def require_open(sockets: Sequence[socket.socket]) -> None:
    """Raise OSError if one was closed when it was to be listened on: uvloop does not tell."""
    if any(each.fileno() < 0 for each in sockets):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _bound(host: str, port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    absent: OSError | None = None
    for address in _addresses(host, port):
        try:
            made.append(_socket(address))
        except OSError as error:
            # A name may stand for an address of a protocol that this machine does not speak.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                absent = error
                continue
            for each in made:
                each.close()
            raise refusal(error, host, port) from error
    if not made:
        assert absent is not None  # there is no name without an address
        raise refusal(absent, host, port) from absent
    return made


def _addresses(host: str, port: int) -> Sequence[Address]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, ValueError) as error:  # ValueError: of text that is no name
        raise CannotListenError(
            f"nothing is known of host {host!r} ({error}): choose another with {HOST}"
        ) from error
    return list(dict.fromkeys(found))


def _socket(address: Address) -> socket.socket:
    """Return a bound socket. Raises OSError."""
    family, kind, protocol, _, where = address
    # With the protocol: asyncio sends small answers at once only where it knows that it is TCP.
    made = socket.socket(family, kind, protocol)
    try:
        # Else a port would be in use for a minute after a server's end.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # else it would take the IPv4 addresses, too
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
    except BaseException:
        made.close()
        raise
    return made
