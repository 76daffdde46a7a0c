"""The page of all detectors: what needs somebody first, as many as there are, kept up to date."""

import time
from typing import Any

import pytest
from brick_pictures import calibrated, defective, good
from browsing import Window
from console_checks import check, play
from playwright.sync_api import Locator, Route, expect
from real_server import Server

MANY = 50


@pytest.fixture(scope="module", autouse=True)
def line(server: Server) -> None:
    """One detector that has seen a few images, one of which is odd, and many that have not."""
    calibrated(server, "bricks", images=40, anomalies=0)
    for name, content, kind in [*good(5000, 4), *defective(6002, 1)]:
        files = [("images", (name, content, kind))]
        assert server.client.post("/v1/detectors/bricks/score", files=files).status_code == 200
    for at in range(1, MANY):
        made = server.client.post("/v1/detectors", json={"name": f"camera-{at:02d}"})
        assert made.status_code == 201


def cards(window: Window) -> Locator:
    return window.page.locator("main").get_by_role("listitem").filter(has=window.page.locator("h2"))


def card(window: Window, name: str) -> Locator:
    return cards(window).filter(has=window.page.get_by_role("heading", name=name, exact=True))


def traffic(window: Window, **changes: Any) -> None:
    """Let the service say something else of one detector's traffic."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for each in body["detectors"]:
            if each["detector"] == "bricks":
                each |= changes
        route.fulfill(response=answer, json=body)

    window.page.route("**/v1/traffic?*", changed)


def test_a_card_says_what_the_service_counts(window: Window, server: Server) -> None:
    """Contract: the same figures; what comes next is one link away."""

    def seen() -> Any:
        (found,) = [
            each
            for each in server.client.get("/v1/traffic").json()["detectors"]
            if each["detector"] == "bricks"
        ]
        return found

    deadline = time.monotonic() + 60
    while (counted := seen())["images"] < 5:  # written a little later than answered
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert counted["flagged"] > 0
    window.open()
    bricks = card(window, "bricks")
    expect(bricks).to_contain_text("calibrated")
    expect(bricks).to_contain_text("version 3 in service")
    figures = dict(
        zip(
            bricks.locator("dt").all_inner_texts(),
            bricks.locator("dd").all_inner_texts(),
            strict=True,
        )
    )
    assert figures == {
        "images": "5",
        "flagged": f"{100 * counted['flagged'] / 5:g} %",
        "to review": str(counted["to_review"]),
    }
    expect(bricks.get_by_role("img", name="5 images in the last 24 hours")).to_be_visible()
    expect(bricks).to_contain_text("last image")
    check(window)
    card(window, "camera-07").get_by_role("link", name="Fit").click()
    expect(window.page.get_by_role("heading", name="camera-07: fit and calibrate")).to_be_visible()


def test_an_alarm_comes_first(window: Window) -> None:
    """Contract: before all names, in words, with a way to the drift."""
    traffic(window, drift="alarm")
    window.open()
    expect(cards(window).first.get_by_role("heading")).to_have_text("bricks")
    expect(cards(window).first.get_by_text("drift alarm")).to_be_visible()
    expect(window.page.get_by_text("1 drift alarm")).to_be_visible()
    check(window)
    window.page.get_by_role("link", name="See the drift").click()
    expect(window.page.get_by_role("heading", name="bricks: drift")).to_be_visible()


def test_filters_ask_nothing_of_the_service(window: Window) -> None:
    """Law: of fifty, those whose name and state fit, without a request."""
    window.open()
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    shown = cards(window).filter(visible=True)
    expect(shown).to_have_count(MANY)
    window.page.get_by_label("Name contains").press_sequentially("camera-1")
    expect(shown).to_have_count(10)
    expect(window.page.get_by_text("10 of 50 detectors")).to_be_visible()
    window.page.get_by_label("State").select_option("Calibrated")
    expect(window.page.get_by_text("No detector is like that")).to_be_visible()
    window.page.get_by_label("Name contains").fill("")
    expect(shown).to_have_count(1)
    check(window)
    assert asked == []


def test_it_keeps_up_and_keeps_the_focus(window: Window) -> None:
    """Contract: what is new shows by itself; what is old is called so, the service gone."""
    page = window.page
    page.clock.install()
    window.open()
    link = card(window, "bricks").get_by_role("link", name="bricks", exact=True)
    link.focus()
    traffic(window, images=12345, to_review=7)
    page.clock.run_for(16_000)
    expect(card(window, "bricks")).to_contain_text("12,345")
    expect(link).to_be_focused()
    inspect = card(window, "bricks").get_by_role(
        "link", name="Inspect"
    )  # leads where the name does
    inspect.focus()
    traffic(window, images=12346, to_review=7)
    page.clock.run_for(16_000)
    expect(card(window, "bricks")).to_contain_text("12,346")
    expect(inspect).to_be_focused()
    review = card(window, "bricks").get_by_role("link", name="Review")
    expect(review).to_have_attribute("href", "#/detectors/bricks/history?verdict=to_review")
    window.expected = ["net::ERR_FAILED"]
    page.unroute("**/v1/traffic?*")
    page.route("**/v1/traffic?*", lambda route: route.abort())
    page.clock.run_for(16_000)
    expect(page.get_by_text("What is shown is older.")).to_be_visible()
    expect(card(window, "bricks")).to_contain_text("12,346")
    check(window)


def test_a_low_role_is_offered_no_more(window: Window) -> None:
    """Contract: role score looks and inspects; it neither creates nor fits."""
    play(window, "score")
    window.open()
    expect(card(window, "bricks").get_by_role("link", name="Inspect")).to_be_visible()
    expect(window.page.get_by_role("link", name="New detector")).to_have_count(0)
    expect(window.page.get_by_role("link", name="Fit")).to_have_count(0)
    window.open("/new")
    expect(window.page.get_by_text("takes a key of role fit or admin")).to_be_visible()
