"""The Jobs page: what runs, what ended and why, cancelled from here, page by page."""

import re

import pytest
from brick_pictures import HOSTILE, good
from browsing import Window
from console_checks import answer_dialog, check, play
from playwright.sync_api import Route, expect
from real_server import Server

NAME = "brackets"


@pytest.fixture(scope="module", autouse=True)
def ended(server: Server) -> None:
    """A job that fits, and one that fails of files that are no images."""
    made = {"name": NAME, "image_size": 96, "scorer": "gaussian"}
    assert server.client.post("/v1/detectors", json=made).status_code == 201
    server.upload(NAME, "fit", [content for _, content, _ in good(0, 10)])
    broken = [("images", (f"{HOSTILE}.png", b"no picture", "image/png"))]
    assert server.client.post(f"/v1/detectors/{NAME}/fit", files=broken).status_code == 202


def test_they_are_told_newest_first(window: Window) -> None:
    """Contract: state, progress, and the problem's own sentence."""
    window.open("/jobs")
    rows = window.page.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("failed")
    expect(rows.nth(1)).to_contain_text("none of 1 image(s) could be used")
    expect(rows.nth(2)).to_contain_text("done")
    expect(rows.nth(2)).to_contain_text("10 images")
    check(window)
    rows.nth(1).get_by_role("link", name=NAME).click()
    last = window.page.get_by_role("region", name="Last job")
    expect(last.get_by_text("none of 1 image(s) could be used")).to_be_visible()
    check(window)


def test_one_is_cancelled_as_it_runs(window: Window, server: Server) -> None:
    """Contract: the page keeps up by itself, the focus stays where it was."""
    page = window.page
    made = {"name": "slow", "image_size": 512, "options": {"flips": True}}
    assert server.client.post("/v1/detectors", json=made).status_code == 201
    window.open("/jobs")
    files = [("images", each) for each in good(0, 60)]
    assert server.client.post("/v1/detectors/slow/fit", files=files).status_code == 202
    window.open("/jobs?detector=slow")
    row = page.get_by_role("row", name="slow")
    expect(row).to_contain_text("running")
    stop = row.get_by_role("button", name="Cancel: fit of slow")
    stop.focus()
    expect(row).to_contain_text(re.compile(r"\d+ of 60"))
    expect(stop).to_be_focused()
    check(window)
    stop.click()
    expect(page.get_by_role("dialog")).to_contain_text("What it has done is dropped")
    answer_dialog(window, "Cancel the job")
    expect(row.get_by_text("cancelled", exact=True)).to_be_visible()
    expect(stop).to_have_count(0)
    page.get_by_label("Detector").select_option(NAME)
    expect(page.get_by_role("row", name="slow")).to_have_count(0)
    expect(page.get_by_role("row", name=NAME)).to_have_count(2)


def test_older_ones_come_when_asked_for(window: Window) -> None:
    """Law: every job once, whatever the pages are cut to."""

    def one(route: Route) -> None:
        route.continue_(url=route.request.url.replace("limit=100", "limit=1"))

    window.page.route("**/v1/jobs?*", one)
    window.open(f"/jobs?detector={NAME}")
    rows = window.page.get_by_role("row", name=NAME)
    expect(rows).to_have_count(1)
    window.page.get_by_role("button", name="Older").click()
    expect(rows).to_have_count(2)
    expect(window.page.get_by_role("button", name="Older")).to_have_count(0)


def test_none_yet_and_not_allowed(window: Window) -> None:
    """Contract: an empty page says what comes there, a low role what it takes."""
    window.page.route("**/v1/jobs?*", lambda route: route.fulfill(json={"jobs": [], "next": None}))
    window.open("/jobs")
    expect(window.page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    check(window)
    play(window, "score")
    window.page.reload()
    expect(window.page.get_by_text("a key of role fit or admin")).to_be_visible()
