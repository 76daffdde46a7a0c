"""The Keys page: the first key closes the service, a key's text is shown once, an end is an end."""

from collections.abc import Iterator

import httpx
import pytest
from browsing import Window, watched
from console_checks import answer_dialog, check
from playwright.sync_api import Browser, expect
from real_server import Server

REFUSED = [f"the server responded with a status of {status}" for status in (401, 409, 422)]


@pytest.fixture(scope="module")
def opened(browser: Browser, server: Server) -> Iterator[Window]:
    """One window for all of this file: what is done to keys is done for good."""
    with watched(browser, f"http://127.0.0.1:{server.port}/console/") as window:
        window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        window.expected = REFUSED
        window.open("/keys")
        yield window


def who(server: Server, key: str) -> httpx.Response:
    return server.client.get("/v1/me", headers={"Authorization": f"Bearer {key}"})


def made(window: Window, name: str, button: str = "Make a key") -> str:
    """Make a key on the page, and return its text as shown; the page waits with it."""
    window.page.get_by_label("Name").fill(name)
    window.page.get_by_role("button", name=button).click()
    text = window.page.get_by_label("Text of the key")
    text.wait_for()
    return text.inner_text()


def stored(window: Window) -> None:
    """Say that the key is stored, and go on."""
    window.page.get_by_label("I have stored the key").check()
    window.page.get_by_role("button", name="Done").click()
    window.page.get_by_role("table", name="Keys that can be used").wait_for()


def test_the_first_key_closes_the_service(opened: Window, server: Server) -> None:
    """Contract: it is said before, the tab is signed in, and nobody else is without a key."""
    page = opened.page
    expect(page.get_by_text("closes the service for good")).to_be_visible()
    assert page.get_by_label("Role").evaluate("role => [...role].map(each => each.value)") == [
        "admin"
    ]
    check(opened)
    key = made(opened, "the-first", "Make the first key")
    check(opened)
    assert who(server, key).json() == {"name": "the-first", "role": "admin", "is_open": False}
    assert server.client.get("/v1/detectors").status_code == 401
    assert page.evaluate("sessionStorage.getItem('gatewatch.key')") == key
    page.get_by_role("link", name="Detectors").click()  # the question that follows is declined
    expect(page.get_by_label("Text of the key")).to_have_text(key)
    assert page.evaluate("location.hash") == "#/keys"
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("The key is in the clipboard.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    expect(page.get_by_role("button", name="Done")).to_be_disabled()
    stored(opened)
    expect(page.get_by_text("the-first · admin")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert key not in page.content()


def test_a_key_of_other_terms(opened: Window, server: Server) -> None:
    """Contract: role, end and limit are those that were given; its text is gone with the page."""
    page = opened.page
    page.get_by_label("Role").select_option("fit")
    page.get_by_label("Ends").fill("2030-01-31T12:00")
    page.get_by_label("Requests a minute").fill("600")
    page.get_by_label("Reason, for the audit").fill("the packing line")
    key = made(opened, "line-3")
    stored(opened)
    row = page.get_by_role("row").filter(has_text="line-3")
    expect(row).to_contain_text("fit")
    expect(row).to_contain_text("600")
    expect(row).to_contain_text("31 Jan 2030, 12:00:00")
    assert who(server, key).json()["role"] == "fit"
    assert key not in page.content()
    check(opened)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "line-3"])
def test_terms_that_cannot_be(opened: Window, name: str) -> None:
    """Contract: the service's words, as text; what was typed stays."""
    page = opened.page
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("alert").filter(has_text="name")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value(name)
    assert page.locator("img[src=x]").count() == 0
    check(opened)


def test_a_key_is_revoked(opened: Window, server: Server) -> None:
    """Contract: not before it was asked; then it stands among those that have ended."""
    page = opened.page
    page.get_by_role("button", name="Revoke line-3").click()
    check(opened)
    answer_dialog(opened, "Cancel")
    page.get_by_role("button", name="Revoke line-3").click()
    answer_dialog(opened, "Revoke", "the line is gone")
    page.get_by_text("Keys that have ended (1)").click()
    expect(page.get_by_role("table", name="Keys that have ended")).to_contain_text("line-3")
    check(opened)


def test_the_last_admin_key_takes_force(opened: Window, server: Server) -> None:
    """Contract: the service's warning first; revoked all the same, the tab is signed out."""
    page = opened.page
    page.get_by_role("button", name="Revoke the-first").click()
    expect(page.get_by_role("dialog")).to_contain_text("you will be signed out")
    answer_dialog(opened, "Revoke")
    expect(page.get_by_role("dialog")).to_contain_text("There would be no admin key")
    answer_dialog(opened, "Cancel")
    page.reload()
    page.get_by_role("button", name="Revoke the-first").click()
    answer_dialog(opened, "Revoke")
    answer_dialog(opened, "Revoke it all the same")
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("the-first is revoked")
    assert page.evaluate("sessionStorage.length") == 0
