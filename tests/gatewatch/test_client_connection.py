"""How a server is reached: proxies, keys, and requests that cannot be sent as they are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from client_helpers import Both, both
from flaky_server import SCORED, Said, flaky
from PIL import Image

import gatewatch
from gatewatch import Client, Retries
from gatewatch import operations as of
from gatewatch.connection import failure_of

LIFE = Said(200, {"status": "ok", "reasons": []})
FEW = Retries(most=3, within_s=5, first_s=0.01, most_s=0.01)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with a proxy that nobody runs."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("proxied")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_goes_round_the_proxy(kind: str, host: str) -> None:
    with flaky(LIFE) as server:
        for client in both(kind, server.url.replace("127.0.0.1", host), retries=0):
            assert client.alive().status == "ok"


@pytest.mark.usefixtures("proxied")
def test_others_go_through_it(kind: str) -> None:
    """Contract: only loopback is taken out."""
    for client in both(kind, "http://gatewatch.invalid", retries=0):
        with pytest.raises(gatewatch.ServerUnreachableError, match="ConnectError"):
            client.alive()
    with flaky(LIFE) as proxy, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("http_proxy", proxy.url)
        for client in both(kind, "http://gatewatch.invalid", retries=0):
            assert client.alive().status == "ok"
        assert proxy.asked[0].path == "http://gatewatch.invalid/livez"


@pytest.mark.parametrize("around", ["gw_key\n", " gw_key", "gw_key\r\n"], ids=["lf", "space", "cr"])
def test_blanks_around_a_key_are_taken_away(
    kind: str, around: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: given, or from the environment, as a file or a shell has left it."""
    monkeypatch.setenv("GATEWATCH_API_KEY", around)
    with flaky(LIFE) as server:
        for how in ({"api_key": around}, {}):
            for client in both(kind, server.url, retries=0, **how):
                client.alive()
        assert [each.headers["authorization"] for each in server.asked] == ["Bearer gw_key"] * 2


@pytest.mark.parametrize("key", ["gw_schlüssel", "gw\nkey", "gw\x00"], ids=["umlaut", "lf", "nul"])
def test_what_is_no_key_is_told_at_once(kind: str, key: str) -> None:
    """Contract: and the key is not shown."""
    with pytest.raises(ValueError, match="copy it anew") as caught:
        list(both(kind, "http://127.0.0.1:1", api_key=key))
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["http://", "http://a:b", "http://[::1"])
def test_what_is_no_address_is_told_at_once(kind: str, url: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        list(both(kind, url))


def broken(client: Both) -> Any:
    """Request a change under a header that cannot be sent."""
    call = replace(of.thresholds.set_threshold("n", 0.1), headers={"x-note": "two\nlines"})
    return client.resolve(client.client.send(call))


def test_what_cannot_be_sent_is_not_sent_again(kind: str) -> None:
    """Contract: it was not carried out, and nothing says that it may have been."""
    with flaky(LIFE) as server:
        for client in both(kind, server.url, retries=FEW):
            with pytest.raises(
                gatewatch.ServerUnreachableError, match="at the first try"
            ) as caught:
                broken(client)
            assert "LocalProtocolError" in str(caught.value)
            assert "carried out" not in str(caught.value)
        assert server.asked == []


def test_failures_are_told_apart() -> None:
    """Contract: whether a request may have arrived, and whether another may go better."""
    told = {
        httpx.LocalProtocolError: (False, False),
        httpx.UnsupportedProtocol: (False, False),
        httpx.ConnectError: (False, True),
        httpx.ConnectTimeout: (False, True),
        httpx.PoolTimeout: (False, True),
        httpx.ReadTimeout: (True, True),
        httpx.ReadError: (True, True),
        httpx.RemoteProtocolError: (True, True),
    }
    for error, (sent, passing) in told.items():
        assert failure_of(error("x")) == {"sent": sent, "passing": passing}


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (8, 8, 4)])
def test_one_image_is_not_many(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Contract: an array or a picture in place of a list is told, and not sent as its rows."""
    one = np.zeros(shape, np.uint8)
    opened = Image.fromarray(one[..., 0] if shape[2:] == (1,) else one)
    with Client("http://127.0.0.1:1", retries=0) as client:
        for image in (one, opened):
            with pytest.raises(TypeError, match="put it into a list"):
                client.score_batch("n", image)
            with pytest.raises(TypeError, match="put it into a list"):
                client.calibrate("n", [b"a"], anomalies=image)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 3)], ids=["grey", "coloured"])
def test_a_pile_of_arrays_is_many(kind: str, shape: tuple[int, ...]) -> None:
    with flaky(SCORED) as server:
        for client in both(kind, server.url, retries=0):
            client.score_batch("n", np.zeros(shape, np.uint8))
        assert server.asked[0].body.count(b"\x89PNG") == 5
