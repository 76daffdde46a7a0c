"""What the tests of the console share: a window that hears what goes wrong in it, pictures, axe."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
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
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
SIZES: list[tuple[int, Literal["light", "dark"]]] = [
    (360, "light"),
    (360, "dark"),
    (1440, "dark"),
    (1440, "light"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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

    def violations(self) -> list[str]:
        """Return what axe finds wrong with the page as it is now, a line each."""
        # Without a preload: it would fetch the style sheets again and break the policy itself.
        options = f"{{runOnly: {RULES}, preload: false}}"
        result: dict[str, Any] = self.page.evaluate(f"{AXE}; axe.run(document, {options})")
        return [
            f"{each['impact']} {each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for each in result["violations"]
            for node in each["nodes"]
        ]

    def flaws(self) -> list[str]:
        """Return what is wrong with the page as it is now at any width, light and dark."""
        found: list[str] = []
        for width, scheme in SIZES:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme=scheme)
            found += [f"{width} px, {scheme}: {each}" for each in self.violations()]
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{width} px, {scheme}: the page scrolls sideways")
        return found


@contextmanager
def watched(browser: Browser, url: str, *, width: int = 1440, **how: Any) -> Iterator[Window]:
    """Open a window; whatever is said on its console and not expected fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **how)
    context.set_default_timeout(30_000)
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
