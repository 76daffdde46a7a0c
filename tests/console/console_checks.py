"""What tests ask of a page in every state they reach, and what they do to it as a person would."""

import json
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
from browsing import Window
from playwright.sync_api import Locator, Page, Route

SIZES: list[tuple[int, Literal["light", "dark"]]] = [
    (360, "light"),
    (360, "dark"),
    (1440, "dark"),
    (1440, "light"),  # last, for it is what windows open with
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Without a preload: it would fetch the style sheets again and break the policy itself.
RUN = f"axe.run(document, {{runOnly: {RULES}, preload: false, resultTypes: ['violations']}})"


def check(window: Window) -> None:
    """At both widths, light and dark: nothing for axe to find, nothing to scroll sideways."""
    page = window.page
    flaws: list[str] = []
    for width, scheme in SIZES:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        flaws += [f"{width} px, {scheme}: {each}" for each in _violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            flaws.append(f"{width} px, {scheme}: the page scrolls sideways")
    assert flaws == []


def play(window: Window, role: str) -> None:
    """Let the page believe that who is there has this role; what it offers follows from that."""

    def answer(route: Route) -> None:
        me = {"name": f"a-{role}", "role": role, "is_open": False}
        route.fulfill(content_type="application/json", body=json.dumps(me))

    window.page.route("**/v1/me", answer)


def answer_dialog(window: Window, button: str, reason: str = "") -> None:
    """Give a reason in the dialog that is open, and press one of its buttons."""
    dialog = window.page.get_by_role("dialog")
    if reason:
        dialog.get_by_label("Reason, for the audit").fill(reason)
    here = dialog.element_handle()
    dialog.get_by_role("button", name=button, exact=True).click()
    here.wait_for_element_state("hidden")  # another may be there by now


def region(window: Window, name: str) -> Locator:
    """Return the part of the page that has this name."""
    return window.page.get_by_role("region", name=name, exact=True)


def choose(within: Locator, button: str, files: Any, at: int = 0) -> None:
    """Give files, or a folder, to the chooser that a button opens."""
    with within.page.expect_file_chooser() as choosing:
        within.get_by_role("button", name=button).nth(at).click()
    choosing.value.set_files(files)


def _violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is now, a line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    result: dict[str, Any] = page.evaluate(RUN)
    return [
        f"{each['impact']} {each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in result["violations"]
        for node in each["nodes"]
    ]
