"""Notices by HTTP, signed after Standard Webhooks 1.0.0.

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md. The body
is JSON; the headers are ``webhook-id`` (the same at every attempt: receivers drop what they know),
``webhook-timestamp`` (of the attempt, Unix seconds) and

    webhook-signature = v1,base64(HMAC-SHA256(key, id "." timestamp "." body))

with a key of 24 to 64 bytes, written ``whsec_`` and base64; while keys change there is a signature
of each, with a space between. Delivered is what is answered with 2xx. 410 means never again, for
this notice; everything else is tried again, redirects too, which would lead signed bodies to where
nobody meant them to go. No byte of an answer's body is read.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from app import __version__
from app.clock import now
from app.errors import InvalidSinkError, NotDeliveredError
from app.notices.content import Content, body

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
_MAKE_ONE = 'make one: echo "whsec_$(openssl rand -base64 32)"'
_GONE = 410


class Webhook:
    """One address."""

    def __init__(self, url: str, secret: str | None, timeout_s: float) -> None:
        """Check what is given.

        Raises:
            InvalidSinkError: if URL or secret are none; what they say is not repeated.
        """
        self._url, self._timeout_s = _address(url), timeout_s
        self._keys = _keys(secret)
        self._tls = httpx.create_ssl_context()  # once: it reads all certificates

    async def deliver(self, content: Content) -> None:
        """Post a notice.

        Raises:
            NotDeliveredError: unless it is answered with 2xx in time.
        """
        sent, moment_s = body(content), int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": f"gatewatch/{__version__}",
            "webhook-id": content["id"],
            "webhook-timestamp": str(moment_s),
            "webhook-signature": signature(self._keys, content["id"], moment_s, sent),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(verify=self._tls, timeout=None) as client,
                client.stream(
                    "POST", self._url, content=sent, headers=headers, follow_redirects=False
                ) as answer,
            ):
                status, asked = answer.status_code, answer.headers.get("retry-after", "")
        except TimeoutError:
            raise NotDeliveredError(
                f"the webhook does not answer in {self._timeout_s:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its own words may hold the address, and with it a password.
            raise NotDeliveredError(f"the webhook fails: {type(error).__name__}") from error
        if not httpx.codes.is_success(status):
            raise NotDeliveredError(
                f"the webhook answers {status}", retry_after_s(asked), final=status == _GONE
            )


def signature(keys: Sequence[bytes], identity: str, moment_s: int, sent: bytes) -> str:
    """Return the header with a signature by each key."""
    signed = f"{identity}.{moment_s}.".encode() + sent
    digests = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def retry_after_s(asked: str) -> float:
    """Return the seconds of a ``Retry-After``, which may be a date; 0 for none, and for nonsense.

    Source: RFC 9110, section 10.2.3.
    """
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now()).total_seconds())


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("https", "http") or not address.host:
        raise InvalidSinkError(
            "GATEWATCH_WEBHOOK_URL is no address of a webhook: give https://HOST/PATH"
        )
    return address


def _keys(secret: str | None) -> list[bytes]:
    if not (secret or "").split():
        raise InvalidSinkError(
            f"GATEWATCH_WEBHOOK_URL needs GATEWATCH_WEBHOOK_SECRET, for notices are signed; "
            f"{_MAKE_ONE}"
        )
    return [_key(text) for text in (secret or "").split()]


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise InvalidSinkError(
            f"GATEWATCH_WEBHOOK_SECRET must be {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} random "
            f"bytes in base64; {_MAKE_ONE}"
        )
    return key
