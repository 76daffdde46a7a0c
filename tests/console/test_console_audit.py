"""The Audit page: newest first, a page at a time and each in one request, as text."""

from typing import Any

import pytest
from browsing import Window
from console_checks import check, play
from playwright.sync_api import expect
from real_server import Server

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def lines(server: Server) -> list[dict[str, Any]]:
    """150 detectors made and deleted again, one in ten of them with the same name; and one kept."""
    for number in range(150):
        name = "often" if number % 10 == 0 else f"once-{number}"
        reason = {"reason": HOSTILE if number == 149 else f"number {number}"}
        assert server.client.post("/v1/detectors", json={"name": name}, params=reason).is_success
        assert server.client.delete(f"/v1/detectors/{name}", params=reason).is_success
    assert server.client.post("/v1/detectors", json={"name": "kept"}).is_success
    return list(server.client.get("/v1/audit", params={"limit": 1000}).json()["lines"])


def test_a_page_and_the_older_ones(window: Window, lines: list[dict[str, Any]]) -> None:
    """Contract: a hundred lines each, on to the first, and back to the newest; a request a page."""
    page = window.page
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url) if "/v1/audit" in sent.url else None)
    window.open("/audit")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(101)
    expect(rows.nth(1)).to_contain_text("kept")
    expect(rows.nth(2)).to_contain_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0
    seen = 100
    while seen < len(lines):
        first = lines[-seen - 1]
        page.get_by_role("link", name="Older").click()
        expect(rows.nth(1)).to_contain_text(f"Line {first['sequence']}")
        seen += 100
    expect(rows.last).to_contain_text("Line 1")
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    page.get_by_role("link", name="Newest").click()
    expect(rows.nth(1)).to_contain_text("kept")
    assert len(asked) == 2 + (len(lines) - 1) // 100, asked


def test_one_subject_alone(window: Window) -> None:
    """Contract: by the filter or by a link; from what to what, and in which request."""
    page = window.page
    window.open("/audit")
    page.get_by_label("Subject").fill("often")
    page.get_by_role("button", name="Show").click()
    rows = page.get_by_role("table", name="Changes of often").get_by_role("row")
    expect(rows).to_have_count(31)
    expect(rows.nth(1)).to_contain_text("number 140")
    rows.nth(1).locator("summary").click()
    expect(rows.nth(1)).to_contain_text("request")
    expect(rows.nth(1)).to_contain_text("created")
    check(window)
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("row")).to_have_count(101)
    page.get_by_role("link", name="kept").click()
    expect(page.get_by_role("table", name="Changes of kept").get_by_role("row")).to_have_count(2)


@pytest.mark.parametrize("where", ["/audit?subject=nobody", "/audit?before=1"])
def test_nothing_found_says_so(window: Window, where: str) -> None:
    """Contract: with what to do."""
    window.open(where)
    expect(window.page.get_by_role("main").get_by_role("heading", level=2)).to_be_visible()
    check(window)


def test_who_may_not_is_told_by_the_service(window: Window) -> None:
    """Contract: no link leads there, and the address alone shows the problem's own words."""
    play(window, "fit")
    window.expected = ["the server responded with a status of 403"]
    body = '{"type": "urn:x", "title": "Role too low", "status": 403, "detail": "takes admin"}'
    window.page.route("**/v1/audit*", lambda route: route.fulfill(status=403, body=body))
    window.page.goto(f"{window.url}#/audit")
    expect(window.page.get_by_role("alert")).to_contain_text("takes admin")
    expect(window.page.get_by_role("link", name="Audit")).to_have_count(0)
