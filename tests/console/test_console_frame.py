"""What holds on every page: leaving it ends it, what destroys wants to be meant, focus stays."""

import pytest
from browsing import Window
from playwright.sync_api import expect
from real_server import Server

BARE, OTHER = "bare", "other"


@pytest.fixture(scope="module", autouse=True)
def made(server: Server) -> None:
    """Two detectors with nothing in them."""
    for name in (BARE, OTHER):
        assert server.client.post("/v1/detectors", json={"name": name}).status_code == 201


def ask_to_delete(window: Window) -> None:
    window.open(f"/detectors/{BARE}/learn")
    window.page.get_by_text("Delete this detector").click()
    window.page.get_by_role("button", name=f"Delete {BARE}").focus()
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("dialog")).to_be_visible()


def test_what_destroys_is_not_what_enter_presses(window: Window, server: Server) -> None:
    """Law: not from the button that asks, not from the reason's field."""
    ask_to_delete(window)
    dialog = window.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_label("Reason").fill("by mistake")
    window.page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    window.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert server.client.get(f"/v1/detectors/{BARE}").status_code == 200


def test_a_dialog_goes_with_its_page(window: Window, server: Server) -> None:
    """Law: what is asked about one detector is not answered before another."""
    ask_to_delete(window)
    window.page.evaluate(f"location.hash = '/detectors/{OTHER}/learn'")
    expect(window.page.get_by_role("heading", name=f"{OTHER}: fit")).to_be_visible()
    expect(window.page.get_by_role("dialog")).to_have_count(0)
    assert server.client.get(f"/v1/detectors/{BARE}").status_code == 200


def test_a_button_keeps_the_focus(window: Window) -> None:
    """Law: while it is busy it cannot have it; afterwards it has it again."""
    window.open()
    window.page.evaluate(
        """async () => {
          const { busy } = await import("/console/js/parts/messages.js");
          const { h } = await import("/console/js/dom.js");
          const button = h("button", { id: "probe", on: { click: () => busy(button, () =>
            new Promise((resolve) => { window.release = resolve; })) } }, "Probe");
          document.querySelector("main").append(button);
        }"""
    )
    probe = window.page.get_by_role("button", name="Probe")
    probe.focus()
    window.page.keyboard.press("Enter")
    expect(probe).to_be_disabled()
    window.page.evaluate("window.release()")
    expect(probe).to_be_enabled()
    expect(probe).to_be_focused()


def test_a_file_dropped_beside_its_zone_changes_nothing(window: Window) -> None:
    """Law: the browser does not open it in the console's place."""
    window.open()
    prevented = window.page.evaluate(
        """() => ["dragover", "drop"].map((kind) => !document.body.dispatchEvent(
          new DragEvent(kind, { bubbles: true, cancelable: true })))"""
    )
    assert prevented == [True, True]


def test_an_address_that_leads_nowhere(window: Window) -> None:
    """Contract: says so, whatever stands in it, and leads back."""
    window.open("/detectors/<img src=x onerror=alert(1)>/nothing")
    expect(window.page.get_by_role("heading", name="No such page")).to_be_visible()
    window.expected = ["the server responded with a status of 422"]
    window.open("/detectors/%E0%A4%A/drift")  # no text in any encoding
    expect(window.page.get_by_role("alert")).to_be_visible()
    window.open("/new")
    expect(window.page.get_by_role("heading", name="New detector")).to_be_visible()
