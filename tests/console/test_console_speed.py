"""Fifty detectors and ten thousand scored images: what a page holds and asks for stays bounded.

How long things take is measured by ``python -m benchmarks.console_speed``.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Window
from history_helpers import picture
from playwright.sync_api import Request, expect
from real_server import Server

from app.storage import Storage
from benchmarks.console_past import seed

NAME, DETECTORS, IMAGES = "bolts", 50, 10_000
STUB = [sys.executable, str(Path(__file__).parents[1] / "app" / "faulty_server.py")]
STEPS = """slider => {
  for (let i = 0; i < 20; i += 1) {
    slider.value = i;
    slider.dispatchEvent(new Event("input"));
  }
}"""
NODES = "document.querySelectorAll('*').length"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with all of that, on a backbone without torch: the pages are what is asked about."""
    directory = tmp_path_factory.mktemp("speed") / "data"
    with Server(directory, command=STUB).serving() as learning:
        spec = {"name": NAME, "image_size": 64}
        assert learning.client.post("/v1/detectors", json=spec).status_code == 201
        learning.upload(NAME, "fit", [picture(seed) for seed in range(40)])
        learning.upload(NAME, "calibrate", [picture(seed) for seed in range(1000, 1120)])
    storage = Storage.open(directory)
    seed(storage, NAME, images=IMAGES, detectors=DETECTORS, others=20)
    storage.close()
    with Server(directory, command=STUB).serving() as server:
        yield server


@pytest.fixture
def asked(window: Window) -> list[Request]:
    """The requests that the page makes of the API."""
    found: list[Request] = []
    window.page.on("request", lambda each: found.append(each) if "/v1/" in each.url else None)
    return found


def test_fifty_cards_are_filtered_without_a_request(window: Window, asked: list[Request]) -> None:
    """Law: all cards come of a few requests, and typing makes none."""
    window.open()
    cards = window.page.get_by_role("main").get_by_role("listitem")
    expect(cards).to_have_count(DETECTORS)
    assert window.page.evaluate(NODES) < 100 * DETECTORS
    assert len(asked) <= 5
    asked.clear()
    window.page.get_by_label("Name contains").press_sequentially("line-07")
    expect(cards.filter(visible=True)).to_have_count(1)
    assert asked == []


def test_the_history_is_shown_by_the_page(window: Window, asked: list[Request]) -> None:
    """Law: however many there are, a page has fifty rows and comes of a few requests."""
    window.open(f"/detectors/{NAME}/history")
    rows = window.page.get_by_role("table").get_by_role("row")
    for page in range(24):  # beyond what the first request brought
        expect(window.page.get_by_role("main")).to_contain_text(f"{50 * page + 1:,} to")
        assert rows.count() == 51
        assert window.page.evaluate(NODES) < 6000
        window.page.get_by_role("button", name="Older").click()
    assert sum("/history" in each.url for each in asked) <= 12


def test_the_slider_asks_when_the_hand_rests(window: Window, asked: list[Request]) -> None:
    """Law: not at every step; the line moves at each of them all the same."""
    window.open(f"/detectors/{NAME}/threshold")
    expect(window.page.get_by_role("region", name="Table of rates")).to_contain_text("0.1 %")
    window.page.wait_for_timeout(500)
    asked.clear()
    slider, box = window.page.get_by_role("slider"), window.page.get_by_label("In %", exact=True)
    with window.page.expect_response("**/preview"):
        slider.evaluate(STEPS)
        moved = window.page.locator("line.proposed").get_attribute("x1")
        rate = float(box.input_value()) / 100
    window.page.wait_for_timeout(300)
    bodies = [json.loads(each.post_data or "{}") for each in asked]
    assert [body["threshold"]["target"] for body in bodies] == [pytest.approx(rate)]
    assert window.page.locator("line.proposed").get_attribute("x1") == moved


def test_a_replay_of_all_is_shown_in_few_rows(window: Window) -> None:
    """Law: ten thousand images are counted by the hour or day, and twenty of them are named."""
    window.open(f"/detectors/{NAME}/threshold")
    section = window.page.get_by_role("region", name="What if it had been so all along")
    window.page.get_by_role("button", name="Try 10 %").click()
    section.get_by_role("button", name="Judge the past again").click()
    expect(section.get_by_text(f"Of {IMAGES:,} images")).to_be_visible()
    assert section.get_by_role("table", name="Newly flagged").get_by_role("link").count() <= 20
    assert window.page.evaluate(NODES) < 4000
