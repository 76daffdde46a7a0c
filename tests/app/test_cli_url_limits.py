"""Commands through a proxy that takes less in one request than the service behind it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_helpers import Sides, both_sides, folder_of
from history_helpers import picture
from real_server import Server
from typer.testing import CliRunner

from app.cli import cli

NAME = "bolts"
FORM_BYTES = 2000
"""More than a form needs around one image."""
PASSED = {"content-type", "content-length", "x-request-id", "retry-after"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images: train, held-out, today; a large one apart."""
    contents = {f"train/{n}.bmp": picture(n) for n in range(40)}
    contents |= {f"held-out/{n}.bmp": picture(1000 + n) for n in range(39)}
    contents |= {f"today/{n:02}.bmp": picture(3000 + n, odd=90 * (n == 2)) for n in range(13)}
    contents["large.bmp"] = picture(4000) + bytes(5 * len(picture(0)))
    return folder_of(tmp_path_factory.mktemp("folders"), contents)


@pytest.fixture
def sides(
    stub_server: Server, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sides]:
    """A server with a calibrated detector, and this side among the folders."""
    monkeypatch.setenv("COLUMNS", "200")
    with both_sides(stub_server, monkeypatch, data=tmp_path / "data", folder=folders) as sides:
        for arguments in (
            ("fit", NAME, "train", "--image-size", "64"),
            ("calibrate", NAME, "held-out"),
        ):
            assert sides.remote(*arguments).exit_code == 0
        yield sides


@contextmanager
def proxy(server: Server, most: int) -> Iterator[tuple[str, list[int]]]:
    """Give the address of a proxy that takes bodies up to a size; and the sizes that came."""
    sizes: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.pass_on(b"")

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            sizes.append(size)
            body = self.rfile.read(size)
            if size > most:
                self.answer(
                    413, {"content-type": "text/html"}, b"<h1>Request Entity Too Large</h1>"
                )
            else:
                self.pass_on(body)

        def pass_on(self, body: bytes) -> None:
            address = f"http://127.0.0.1:{server.port}{self.path}"
            headers = {k: v for k, v in self.headers.items() if k.lower() in PASSED}
            came = httpx.request(self.command, address, content=body, headers=headers, timeout=60)
            told = {k: v for k, v in came.headers.items() if k in PASSED - {"content-length"}}
            self.answer(came.status_code, told, came.content)

        def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", sizes
        finally:
            listening.shutdown()
            thread.join()


def scored(url: str, *paths: str) -> list[dict[str, Any]]:
    """Return the results of scoring through an address."""
    ended = CliRunner().invoke(cli, ["score", NAME, *paths, "--json", "--url", url])
    assert ended.exit_code == 0, ended.output
    return list(json.loads(ended.stdout)["results"])


def said(results: list[dict[str, Any]]) -> list[Any]:
    """Return what was said of each, scores but for their last bits: other company, other sums."""
    return [(one["index"], one["name"], f"{one['score']:.9g}", one["verdict"]) for one in results]


@pytest.mark.parametrize("fit", [1, 2, 5])
def test_what_is_too_much_for_a_proxy_goes_in_smaller_parts(sides: Sides, fit: int) -> None:
    """Law: the same list as without it, whatever fits, down to one image at a time."""
    size = len(picture(0))
    with proxy(sides.server, fit * size + FORM_BYTES) as (url, sizes):
        assert said(scored(url, "today")) == said(scored(sides.url, "today"))
    taken = [each for each in sizes if each <= fit * size + FORM_BYTES]
    assert len(taken) <= 13
    assert len(sizes) - len(taken) <= 5  # what was refused is not tried again with every part


def test_an_image_that_is_too_large_for_a_proxy_costs_the_others_nothing(sides: Sides) -> None:
    """Contract: it has that as its result, in its place; the others are judged."""
    size = len(picture(0))
    with proxy(sides.server, 3 * size + FORM_BYTES) as (url, _):
        results = scored(url, "today/00.bmp", "large.bmp", "today")
    assert [one["name"] for one in results][1] == "large.bmp"
    assert [one["problem"] is None for one in results] == [True, False] + [True] * 13
    assert (results[1]["problem"]["status"], results[1]["verdict"]) == (413, "invalid")
    assert [one["index"] for one in results] == list(range(15))
