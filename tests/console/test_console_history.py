"""The history: what was scored, found again, followed live, reviewed, and acted upon."""

import time
from typing import Any

import pytest
from brick_pictures import HOSTILE, calibrated, defective, good, send
from browsing import Window
from console_checks import answer_dialog, check, play
from playwright.sync_api import Locator, expect
from real_server import Server

NAME = "bricks"
NOT_FOUND = "the server responded with a status of 404"
NORMAL, ODD, ROWS = 80, 8, 50
UNKNOWN = "0" * 32


@pytest.fixture(scope="module", autouse=True)
def scored(server: Server) -> None:
    """More than a page of images: normal ones of two groups, then some with defects."""
    calibrated(server, NAME, images=40, anomalies=0)
    for start, group in ((4000, "lot 7"), (4000 + NORMAL // 2, HOSTILE)):
        send(server, NAME, "score", good(start, NORMAL // 2), group=group)
    send(server, NAME, "score", defective(5000, ODD, HOSTILE))
    while len(listed(server)) < NORMAL + ODD:  # a second or two
        time.sleep(0.1)


def listed(server: Server, **which: Any) -> list[dict[str, Any]]:
    answer = server.client.get(f"/v1/detectors/{NAME}/history", params={"limit": 1000, **which})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["images"])


def opened(window: Window, query: str = "", name: str = NAME) -> None:
    window.open(f"/detectors/{name}/history{query}")


def rows(window: Window) -> Locator:
    return window.page.get_by_role("table", name="Scored images").locator("tbody tr")


def dialog(window: Window) -> Locator:
    return window.page.get_by_role("dialog", name="Scored image")


def test_it_shows_what_was_scored_a_page_at_a_time(window: Window, server: Server) -> None:
    """Contract: newest first, older ones on the next page; names and groups as they are written."""
    images = listed(server)
    opened(window)
    expect(rows(window)).to_have_count(ROWS)
    expect(rows(window).first).to_contain_text(images[0]["name"])
    expect(rows(window).first).to_contain_text(f"{images[0]['score']:.4g}")
    expect(rows(window).filter(has_text=HOSTILE).first).to_be_visible()
    assert window.page.locator("img[src='x']").count() == 0
    window.page.get_by_role("button", name="Older").click()
    expect(rows(window)).to_have_count(NORMAL + ODD - ROWS)
    check(window)
    expect(rows(window).last).to_contain_text(images[-1]["name"])
    expect(window.page.get_by_role("button", name="Older")).to_be_disabled()
    window.page.get_by_role("button", name="Newer").click()
    expect(rows(window)).to_have_count(ROWS)
    expect(window.page.get_by_role("button", name="Newer")).to_be_disabled()


def test_filters_are_the_services_and_stand_in_the_address(window: Window, server: Server) -> None:
    """Contract: verdict and time are asked of it, text is looked for; a reload finds them again."""
    flagged = listed(server, verdict="anomalous")
    opened(window)
    page = window.page
    page.get_by_label("Verdict").select_option("Anomalous")
    expect(rows(window)).to_have_count(len(flagged))
    page.get_by_label("Name or group").fill(HOSTILE.upper())
    fitting = [each for each in flagged if HOSTILE in each["name"] + each["group"]]
    expect(rows(window)).to_have_count(len(fitting))
    page.reload()
    expect(rows(window)).to_have_count(len(fitting))
    expect(page.get_by_label("Verdict")).to_have_value("anomalous")
    page.get_by_label("Until").fill("2020-01-31T12:00")
    expect(page.get_by_role("heading", name="No such images")).to_be_visible()
    check(window)
    page.get_by_role("button", name="Clear the filters").click()
    expect(rows(window)).to_have_count(ROWS)
    page.get_by_label("Name or group").fill("no such name")
    expect(page.get_by_text("holds the text")).to_be_visible()


def test_the_drawing_says_what_it_shows_and_leads_on(window: Window, server: Server) -> None:
    """Contract: in words for who cannot see it; by pointer and by keyboard to an image."""
    images = listed(server)
    opened(window)
    chart = window.page.get_by_role("group", name="Scores over time")
    flagged = sum(each["verdict"] == "anomalous" for each in images)
    said = chart.get_by_role("img").get_attribute("aria-label") or ""
    assert f"{len(images)} images" in said
    assert f"{flagged} anomalous" in said
    chart.focus()
    window.page.keyboard.press("ArrowLeft")
    told = window.page.get_by_role("region", name="Scores over time").get_by_role("status")
    expect(told).to_contain_text(images[0]["name"])
    window.page.keyboard.press("ArrowLeft")
    expect(told).to_contain_text(images[1]["name"])
    window.page.keyboard.press("Enter")
    expect(dialog(window).get_by_role("heading", name=images[1]["name"])).to_be_visible()
    expect(window.page).to_have_url(
        f"{window.url}#/detectors/{NAME}/history?image={images[1]['id']}"
    )
    dialog(window).get_by_role("button", name="Close").click()
    expect(window.page).to_have_url(f"{window.url}#/detectors/{NAME}/history")
    ring = chart.locator(".scatter-ring").bounding_box()
    assert ring is not None
    window.page.mouse.click(ring["x"] + 8, ring["y"] + 8)
    expect(dialog(window)).to_be_visible()


def test_an_image_is_opened_by_its_address(window: Window, server: Server) -> None:
    """Contract: with what was said and by which version; older and newer ones beside it."""
    images = listed(server)
    at = 3
    opened(window, f"?image={images[at]['id']}")
    expect(dialog(window)).to_contain_text(f"version {images[at]['version']}")
    expect(dialog(window)).to_contain_text("but no images")
    check(window)
    dialog(window).get_by_role("button", name="Older").click()
    expect(dialog(window).get_by_role("heading", name=images[at + 1]["name"])).to_be_visible()
    window.page.keyboard.press("Escape")
    expect(dialog(window)).to_have_count(0)
    window.expected = [NOT_FOUND]
    window.page.goto("about:blank")
    opened(window, f"?image={UNKNOWN}")
    expect(dialog(window).get_by_role("alert")).to_contain_text(UNKNOWN)


def test_reviews_lead_to_proposals_and_a_version(window: Window, server: Server) -> None:
    """Contract: what waits grows fewer; what follows is shown before it is made, and serves not."""
    waiting = [*listed(server, verdict="anomalous"), *listed(server, verdict="uncertain")]
    opened(window)
    page = window.page
    expect(page.get_by_text(f"{len(waiting)} images wait for a review")).to_be_visible()
    expect(page.get_by_role("region", name="Proposals")).to_be_hidden()
    page.get_by_role("button", name="Show them").click()
    expect(rows(window)).to_have_count(len(waiting))
    rows(window).first.get_by_role("link").click()
    dialog(window).get_by_label("Note").fill(HOSTILE)
    dialog(window).get_by_role("button", name="False alarm").click()
    expect(dialog(window).get_by_role("listitem")).to_contain_text(HOSTILE)
    dialog(window).get_by_role("button", name="Close").click()
    expect(rows(window).first).to_contain_text("False alarm")
    expect(page.get_by_text(f"{len(waiting) - 1} images wait for a review")).to_be_visible()
    page.reload()
    expect(rows(window)).to_have_count(len(waiting) - 1)

    page.get_by_role("button", name="See what the reviews suggest").click()
    raised = page.get_by_role("region", name="Raise the threshold", exact=True)
    answer = server.client.get(f"/v1/detectors/{NAME}/proposals").json()
    (line,) = [each["proposed"] for each in answer["proposals"] if each["rule"] == "conformal"]
    expect(raised).to_contain_text(line["threshold"]["statement"])
    between = page.get_by_role("region", name="Draw the threshold between", exact=True)
    expect(between).to_contain_text("Not now")
    check(window)
    before = server.client.get(f"/v1/detectors/{NAME}").json()
    raised.get_by_role("button", name="Apply").click()
    answer_dialog(window, "Make the version", "tested")
    expect(raised.get_by_role("link", name="to the versions")).to_be_focused()
    newest = server.client.get(f"/v1/detectors/{NAME}/versions").json()["versions"][-1]
    assert (newest["change"], newest["reason"]) == ("review", "tested")
    expect(raised).to_contain_text(f"Version {newest['version']}:")
    now = server.client.get(f"/v1/detectors/{NAME}").json()
    assert now["in_service"] == before["in_service"]


def test_live_shows_what_comes(window: Window, server: Server) -> None:
    """Contract: without a touch, and only when it is switched on."""
    opened(window)
    expect(rows(window)).to_have_count(ROWS)
    window.page.get_by_role("checkbox", name="Live").check()
    send(server, NAME, "score", [("just now.png", *good(4500, 1)[0][1:])])
    expect(rows(window).first).to_contain_text("just now.png", timeout=60_000)


def test_who_may_only_score_reads_and_says_nothing(window: Window, server: Server) -> None:
    """Contract: no reviews are asked for, no buttons are there."""
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    play(window, "score")
    opened(window, f"?image={listed(server, verdict='anomalous')[0]['id']}")
    expect(dialog(window).get_by_role("heading", name="Review")).to_be_visible()
    assert dialog(window).get_by_role("button").count() == 3  # newer, older, close
    assert not [url for url in asked if "/v1/reviews" in url or url.endswith("/proposals")]
    dialog(window).get_by_role("button", name="Close").click()
    assert "Waiting for a review" not in window.page.get_by_label("Verdict").inner_text()


def test_before_anything_is_scored_it_says_how_to_begin(window: Window, server: Server) -> None:
    """Contract: with the way there."""
    assert server.client.post("/v1/detectors", json={"name": "fresh"}).status_code == 201
    opened(window, name="fresh")
    expect(window.page.get_by_role("heading", name="Nothing scored yet")).to_be_visible()
    check(window)
    window.page.get_by_role("link", name="Inspect an image").click()
    expect(window.page).to_have_url(f"{window.url}#/detectors/fresh/inspect")
