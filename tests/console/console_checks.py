"""What is asked of a page in every state that a test of the console reaches."""

import json

from browsing import Window
from playwright.sync_api import Route

SIZES = [(1440, "light"), (360, "dark")]
"""Every width and every scheme; not every pair, for no colour depends on the width."""


def check(window: Window) -> None:
    """At both widths and in both schemes: nothing for axe to find, nothing to scroll sideways."""
    for width, scheme in SIZES:
        window.page.set_viewport_size({"width": width, "height": 900})
        window.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert window.violations() == []
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    window.page.set_viewport_size({"width": 1440, "height": 900})
    window.page.emulate_media(color_scheme="light")


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
