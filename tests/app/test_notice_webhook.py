"""Notices by HTTP: signed as the standard has it, and what each answer means."""

import asyncio
import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from notice_helpers import SECRET, Receiver
from pydantic import SecretStr

from app.clock import now
from app.errors import InvalidSinkError, NotDeliveredError
from app.notices.content import trial
from app.notices.sinks import sinks_of
from app.notices.webhook import Webhook, retry_after_s, signature
from app.settings import Settings

CONTENT = trial("a" * 32, now())
OTHER = "whsec_" + base64.b64encode(bytes(range(40))).decode()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook, with no proxy before it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Receiver().open() as opened:
        yield opened


def failure(hook: Webhook) -> NotDeliveredError:
    """Return how a delivery fails."""
    with pytest.raises(NotDeliveredError) as caught:
        asyncio.run(hook.deliver(CONTENT))
    return caught.value


def test_the_signature_is_the_standards() -> None:
    """Reference: a vector that libraries of the standard are tested with."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secrets", [[SECRET], [SECRET, OTHER]], ids=["one", "two"])
def test_a_receiver_can_verify_it(receiver: Receiver, secrets: list[str]) -> None:
    """Law: whoever has one of the secrets finds the signature of what came, and no other does."""
    asyncio.run(Webhook(receiver.url, " ".join(secrets), 30).deliver(CONTENT))
    (got,) = receiver.got
    assert got.content == CONTENT
    headers = got.headers
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == CONTENT["id"]
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + got.body
    found = headers["webhook-signature"].split(" ")
    assert len(found) == len(secrets)
    for secret in (SECRET, OTHER):
        key = base64.b64decode(secret[6:])
        right = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert (right in found) == (secret in secrets)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_what_is_answered_with_success_has_arrived(receiver: Receiver, status: int) -> None:
    """Contract: any 2xx."""
    receiver.answers = [(status, {})]
    asyncio.run(Webhook(receiver.url, SECRET, 30).deliver(CONTENT))
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "headers", "final", "least_s"),
    [
        (302, {"location": "/elsewhere"}, False, 0),
        (400, {}, False, 0),
        (404, {}, False, 0),
        (410, {}, True, 0),
        (429, {"retry-after": "120"}, False, 120),
        (500, {"retry-after": "soon"}, False, 0),
        (503, {"retry-after": "7"}, False, 7),
    ],
    ids=["302", "400", "404", "410", "429", "500", "503"],
)
def test_what_else_is_answered_has_not(
    receiver: Receiver, status: int, headers: dict[str, str], final: bool, least_s: int
) -> None:
    """Contract: with the wait that was asked for; nothing is sent to where a redirect leads."""
    receiver.answers = [(status, headers)]
    failed = failure(Webhook(receiver.url, SECRET, 30))
    assert (failed.final, failed.retry_after_s) == (final, least_s)
    assert str(failed) == f"the webhook answers {status}"
    assert len(receiver.got) == 1


def test_a_wait_may_be_a_date() -> None:
    """Contract: RFC 9110's forms; nonsense is no wait."""
    assert 50 < retry_after_s(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after_s(formatdate(time.time() - 60, usegmt=True)) == 0
    for text in ("", "-5", "1.5", "٣", "tomorrow", "Mon, 99 Foo 2026"):
        assert retry_after_s(text) == 0
    assert retry_after_s("9" * 5000) < 1e9


def test_a_slow_or_absent_receiver_is_a_failure(receiver: Receiver) -> None:
    """Contract: before an answer comes, and without the address, which may hold a password."""
    answer = threading.Event()
    receiver.answers = [lambda: (answer.wait(60) and 204, {})]
    try:
        said = str(failure(Webhook(receiver.url, SECRET, 0.2)))
    finally:
        answer.set()
    assert said == "the webhook does not answer in 0.2 s"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://me:hush@127.0.0.1:{taken.getsockname()[1]}/"
        failed = failure(Webhook(url, SECRET, 30))
    assert str(failed) == "the webhook fails: ConnectError"


def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: what counts is the status; of the body nothing is taken in."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            writer.close()

    async def work() -> None:
        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            await Webhook(f"http://127.0.0.1:{port}/", SECRET, 30).deliver(CONTENT)

    asyncio.run(work())  # in time: else it would not have arrived


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("https://h/", None, "needs GATEWATCH_WEBHOOK_SECRET"),
        ("https://h/", " ", "needs GATEWATCH_WEBHOOK_SECRET"),
        ("https://h/", "hush", "must be whsec_"),
        ("https://h/", "whsec_hush!", "must be whsec_"),
        ("https://h/", "whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 random bytes"),
        ("https://h/", "whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 random bytes"),
        ("https://h/", f"{SECRET} whsec_hush", "must be whsec_"),
        ("ftp://hush/", SECRET, "no address of a webhook"),
        ("hush", SECRET, "no address of a webhook"),
        ("https://", SECRET, "no address of a webhook"),
        ("https://hush:port/", SECRET, "no address of a webhook"),
    ],
    ids=[
        "no-secret",
        "empty",
        "no-prefix",
        "no-base64",
        "short",
        "long",
        "second",
        "ftp",
        "word",
        "no-host",
        "port",
    ],
)
def test_what_cannot_work_is_refused_at_start(url: str, secret: str | None, said: str) -> None:
    """Contract: by the setting's name; what it says is not repeated."""
    given: dict[str, Any] = {"webhook_url": SecretStr(url)}
    given |= {} if secret is None else {"webhook_secret": SecretStr(secret)}
    with pytest.raises(InvalidSinkError, match=said) as caught:
        sinks_of(Settings(**given))
    assert "hush" not in str(caught.value)


def test_http_is_taken_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """Contract: within a plant there may be nothing else; that it can be read is said."""
    for url, words in (("http://h/", 1), ("https://h/", 0)):
        caplog.clear()
        settings = Settings(webhook_url=SecretStr(url), webhook_secret=SecretStr(SECRET))
        assert list(sinks_of(settings)) == list(settings.sinks) == ["webhook"]
        assert len(caplog.records) == words
