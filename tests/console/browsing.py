"""What the tests of the console share: a window that hears what goes wrong in it."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

sys.path.append(
    str(Path(__file__).parents[1] / "app")
)  # tests are no packages; real_server is there

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Window:
    """A page of the console, and what was said on its console.

    Attributes:
        page: Playwright's.
        url: the console's address.
        said: errors and warnings of the page, broken policies among them.
        expected: parts of texts that a test means to provoke, as the 404 of a wrong address.
    """

    page: Page
    url: str
    said: list[str] = field(default_factory=list)
    expected: Sequence[str] = ()

    def open(self, where: str = "/detectors") -> None:
        """Go to an address of the console, and wait until its page is there."""
        self.page.goto(f"{self.url}#{where}")
        self.page.locator("main h1").first.wait_for()

    def unexpected(self) -> list[str]:
        """Return what was said and not expected."""
        return [text for text in self.said if not any(part in text for part in self.expected)]


@contextmanager
def watched(browser: Browser, url: str, *, width: int = 1440, **how: Any) -> Iterator[Window]:
    """Open a window; whatever is said on its console and not expected fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **how)
    context.set_default_timeout(60_000)
    window = Window(context.new_page(), url)
    window.page.on(
        "console",
        lambda message: (
            window.said.append(f"{message.type}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    window.page.on("pageerror", lambda error: window.said.append(f"uncaught: {error}"))
    try:
        yield window
        assert window.unexpected() == [], window.said
    finally:
        context.close()
