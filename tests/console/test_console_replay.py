"""What if another line had judged the past: as a job, with the figures of the API."""

import time
from typing import Any

import pytest
from brick_pictures import HOSTILE, calibrated, defective, good, send
from browsing import Window
from console_checks import check
from http_helpers import followed
from playwright.sync_api import Locator, expect
from real_server import Server

NAME, IMAGES = "bricks", 48
RUN = "Judge the past again"


@pytest.fixture(scope="module", autouse=True)
def scored(server: Server) -> list[dict[str, Any]]:
    """What a detector has said of some images, one in four of them defective; some are reviewed."""
    calibrated(server, NAME, anomalies=0)
    files = good(7000, IMAGES * 3 // 4) + defective(8000, IMAGES // 4, HOSTILE)
    results = [each for each in send(server, NAME, "score", files)["results"]]
    flagged = [each["id"] for each in results if each["verdict"] == "anomalous"]
    normal = next(each["id"] for each in results if each["verdict"] == "normal")
    deadline = time.monotonic() + 60
    while len(kept(server)) < IMAGES:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    said = ((flagged[0], "false_alarm"), (flagged[-1], "confirmed"), (normal, "passed"))
    for image, word in said:
        body = {"image": image, "word": word}
        assert server.client.post("/v1/reviews", json=body).status_code == 201
    return results


def kept(server: Server) -> list[Any]:
    page = server.client.get(f"/v1/detectors/{NAME}/history", params={"limit": 1000}).json()
    return list(page["images"])


def opened(window: Window) -> Locator:
    """Open the page, and return the section of the question."""
    window.open(f"/detectors/{NAME}/threshold")
    return window.page.get_by_role("region", name="What if it had been so all along")


def drawn_by_hand(window: Window, value: float) -> None:
    window.page.get_by_text("More ways to draw the line").click()
    window.page.get_by_label("Method").select_option("manual")
    window.page.get_by_label("Score above which").fill(str(value))


def replayed(server: Server, **body: Any) -> Any:
    answer = followed(server.client, server.client.post(f"/v1/detectors/{NAME}/replay", json=body))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_would_be_flagged_newly(window: Window, server: Server) -> None:
    """Contract: counts, images and reviews are the API's; an image leads to its history."""
    section = opened(window)
    window.page.get_by_label("In %", exact=True).fill("20")
    section.get_by_role("button", name=RUN).click()
    found = replayed(server, threshold={"method": "conformal", "target": 0.2})
    assert found["newly_flagged"] > 0
    then, now = found["then"]["anomalous"], found["now"]["anomalous"]
    lead = f"Of {IMAGES} images, {then} were flagged then. The line"
    expect(section.get_by_text(lead)).to_contain_text(
        f"flags {now}: {found['newly_flagged']} newly"
    )
    expect(section.get_by_role("img", name="Flagged images by the hour")).to_be_visible()
    newly = section.get_by_role("table", name="Newly flagged")
    changed = [each["then"] for each in found["changed"] if each["then"]["verdict"] == "normal"]
    flips = [each for each in found["changed"] if each["verdict"] == "anomalous"]
    rows = newly.get_by_role("link")
    expect(rows.first).to_have_attribute(
        "href", f"#/detectors/{NAME}/history?image={changed[0]['id']}"
    )
    assert rows.count() == sum(each["then"]["verdict"] == "normal" for each in flips)
    reviews = section.get_by_role("table", name="What people have said")
    expect(reviews.get_by_role("row", name="False alarms")).to_contain_text("1")
    expect(reviews.get_by_role("row", name="Rightly passed 1 0")).to_be_visible()
    section.get_by_text("The same as numbers").click()
    expect(section.get_by_role("table", name="Images by the hour")).to_contain_text(str(now))


def test_what_would_no_longer_be_flagged(window: Window) -> None:
    """Contract: names are text, whatever is in them."""
    section = opened(window)
    drawn_by_hand(window, 1e6)
    section.get_by_role("button", name=RUN).click()
    gone = section.get_by_role("table", name="No longer flagged")
    expect(gone.get_by_role("link", name=HOSTILE).first).to_be_visible()
    expect(section.get_by_text("Newly flagged: none.")).to_be_visible()
    section.get_by_text("The same as numbers").click()
    check(window)


def test_other_times_versions_and_failures(window: Window) -> None:
    """Contract: a time without images is told as such, what cannot be in the service's words."""
    section = opened(window)
    section.get_by_label("Images of").select_option("between")
    section.get_by_label("Until").fill("2020-01-01T00:00")
    section.get_by_label("Judged by").select_option("own")
    section.get_by_role("button", name=RUN).click()
    expect(section.get_by_role("heading", name="No images in this time")).to_be_visible()
    check(window)
    section.get_by_label("Images of").select_option("all")
    section.get_by_label("Version", exact=True).select_option("2")  # fitted, and without a line
    section.get_by_role("button", name=RUN).click()
    expect(section.get_by_role("alert")).to_contain_text("calibrate")
    check(window)


def test_the_line_above_must_be_one(window: Window) -> None:
    """Contract: what is missing is said, and nothing is sent."""
    section = opened(window)
    window.page.get_by_label("In %", exact=True).fill("")
    section.get_by_role("button", name=RUN).click()
    expect(window.page.locator("#messages")).to_contain_text("lacks a number")
