"""A real browser before a real server: pages that must not say a word on the console."""

from collections.abc import Iterator

import pytest
from browsing import CHROMIUM, OPTIONS, Window, watched
from playwright.sync_api import Browser, expect, sync_playwright
from real_server import Server

expect.set_options(timeout=60_000)  # a page may wait for a job, on a machine with other tests


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a screen; its tests skip where it is not installed.

    Of one file, not of the whole run: Playwright keeps an event loop running in this thread while
    it is there, beside which the tests of other files could not run theirs.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the real backbone with nothing in it, for one file's tests."""
    with Server(tmp_path_factory.mktemp("console") / "data").serving() as server:
        yield server


@pytest.fixture
def window(browser: Browser, server: Server) -> Iterator[Window]:
    """A page of the console, at 1440 px; nothing may be said on its console in the end."""
    with watched(browser, f"http://127.0.0.1:{server.port}/console/") as window:
        yield window
