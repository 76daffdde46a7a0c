"""Where a server is and how it is spoken to; what both clients do in the same way."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gatewatch.calls import Answer, Call
from gatewatch.retrying import Retries

if TYPE_CHECKING:
    import httpx

URL, API_KEY = "GATEWATCH_URL", "GATEWATCH_API_KEY"
HERE = "http://127.0.0.1:8000"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
TIMEOUT_S = 60.0
CONNECT_S = 5.0
KEEP_S = 3.0
"""How long an idle connection is kept: less than the server does, which would close it unawares."""
LEAST_STREAM_S = 45.0
"""Least patience with a stream of events, on which something comes every fifteen seconds."""


@dataclass(frozen=True)
class Connection:
    """Where a server is and how it is spoken to.

    Attributes:
        url: Of the server; ``shown`` before it is said.
        api_key: Sent with every request; empty where none is needed.
        timeout_s: For which nothing may come, or go.
        retries: How patient each request is.
        verify: Whether the server's certificate is checked, or the context that checks it.
    """

    url: str = field(repr=False)
    api_key: str = field(repr=False)
    timeout_s: float
    retries: Retries
    verify: Any = True

    @classmethod
    def given(
        cls,
        url: str | None,
        api_key: str | None,
        timeout_s: float,
        retries: Retries | int | None,
        verify: Any,
    ) -> "Connection":
        """Return what was given, and else what the environment says.

        Raises:
            ValueError: if the address is none of HTTP, or the key is none.
        """
        address = (url or os.environ.get(URL) or HERE).rstrip("/")
        if not address.startswith(("http://", "https://")):
            raise ValueError(
                f"{shown(address)!r} is no address: give http://HOST:PORT, or set {URL}"
            )
        patience = Retries(retries) if isinstance(retries, int) else retries or Retries()
        key = os.environ.get(API_KEY, "") if api_key is None else api_key
        return cls(address, _checked(key), timeout_s, patience, verify)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What a client of httpx is made with. Raises ValueError if the address is none of HTTP."""
        from importlib import metadata

        import httpx  # here: it takes longer to import than all of this package

        headers = {"user-agent": f"gatewatch-client/{metadata.version('gatewatch')}"}
        if self.api_key:
            headers["authorization"] = f"Bearer {self.api_key}"
        try:
            address = httpx.URL(self.url)
            address.raw_host.decode().encode("idna")  # as it is looked up
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ValueError(f"{shown(self.url)!r} is no address: {error}") from error
        host = address.host
        if not host:
            raise ValueError(
                f"{shown(self.url)!r} is no address: give http://HOST:PORT, or set {URL}"
            )
        return {
            "base_url": self.url,
            # A proxy of the environment knows nothing of this machine's loopback.
            "trust_env": host not in LOOPBACK,
            "headers": headers,
            "timeout": httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, CONNECT_S)),
            "limits": httpx.Limits(keepalive_expiry=KEEP_S),
            "verify": self.verify,
        }

    def stream_timeout(self) -> "httpx.Timeout":
        """Return the patience with a stream of events."""
        import httpx

        return httpx.Timeout(
            max(self.timeout_s, LEAST_STREAM_S), connect=min(self.timeout_s, CONNECT_S)
        )


def shown(url: str) -> str:
    """Return an address without the name and password that may stand in it."""
    return re.sub(r"^([a-z]*://)?[^/?#]*@", r"\1", url, flags=re.IGNORECASE)


def request_of(call: Call[Any], content: Any) -> dict[str, Any]:
    """Return a call as httpx takes it.

    Args:
        call: What is asked for.
        content: Its body as the kind of iterator that the client takes; None if it has none.
    """
    headers = dict(call.headers)
    if call.body is not None:
        headers["content-type"] = call.body.media_type
        if call.body.size is not None:
            headers["content-length"] = str(call.body.size)
    asked = {
        "method": call.method,
        "url": call.path,
        "params": call.parameters,
        "headers": headers,
        "content": content,
    }
    return asked | ({"json": call.document} if call.document is not None else {})


def answer_of(response: "httpx.Response", content: bytes) -> Answer:
    """Return what has come back."""
    headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, content)


def failure_of(error: Exception) -> dict[str, bool]:
    """Return whether a request that failed may have reached the server, and whether that passes."""
    import httpx

    wrong = isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)
    unconnected = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return {"sent": not (wrong or unconnected), "passing": not wrong}


@contextmanager
def saving(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write, which has its name only once it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _checked(key: str) -> str:
    """Return a key without the blanks and line ends that a file or a shell has put around it."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key has characters that no key has: copy it anew")
    return key
