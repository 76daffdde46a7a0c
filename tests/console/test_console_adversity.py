"""A service that goes away, is cut off, or is changed by others: all is shown as what it is."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Window
from console_checks import answer_dialog, check
from history_helpers import picture
from playwright.sync_api import FilePayload, Route, expect
from real_server import Server

NAME, IMAGES = "bolts", 39
STUB = [sys.executable, str(Path(__file__).parents[1] / "app" / "faulty_server.py")]
GONE, REFUSED = "net::ERR_FAILED", "the server responded with a status of"
JUDGED = re.compile(r"Of \d+ images?,")
"""How a replay's outcome begins."""
MANY = """input => {
  const IMAGE = { type: "image/png" };
  const all = new DataTransfer();
  for (let i = 0; i < 1000; i += 1) all.items.add(new File(["-"], `${i}.png`, IMAGE));
  input.files = all.files;
  input.dispatchEvent(new Event("change"));
  return document.querySelectorAll(".strip li").length;
}"""
"""Gives a chooser many files; returns how many are shown before the page may do anything else."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A calibrated detector on a backbone without torch: what goes wrong is asked about."""
    directory = tmp_path_factory.mktemp("adversity") / "data"
    with Server(directory, command=STUB).serving() as server:
        spec = {"name": NAME, "image_size": 64, "scorer": "gaussian"}
        assert server.client.post("/v1/detectors", json=spec).status_code == 201
        server.upload(NAME, "fit", [picture(seed) for seed in range(40)])
        server.upload(NAME, "calibrate", [picture(seed) for seed in range(1000, 1000 + IMAGES)])
        server.upload(NAME, "score", [picture(2000)])
        yield server


def drop(window: Window, *names: str) -> None:
    """Open Inspect, and give it pictures under these names; what is named otherwise is text."""
    window.open(f"/detectors/{NAME}/inspect")
    given = [
        FilePayload(name=name, mimeType="text/plain", buffer=b"text")
        if name.endswith(".txt")
        else FilePayload(name=name, mimeType="image/bmp", buffer=picture(3000 + at))
        for at, name in enumerate(names)
    ]
    window.page.locator("input[type=file]").first.set_input_files(given)


def test_a_service_that_is_away_leaves_images_unscored(window: Window) -> None:
    """Law: no image is called invalid for it, the others wait, and one button takes them up."""
    page = window.page
    window.expected = [GONE]
    asked: list[str] = []

    def lose(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/score*", lose)
    drop(window, *(f"{at}.bmp" for at in range(6)))
    again = page.get_by_role("button", name="Try the 6 images again")
    expect(again).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("it may have been scored all the same")
    expect(page.get_by_text("6 images: 2 not scored, 4 to come.")).to_be_visible()
    assert len(asked) == 2
    check(window)
    page.unroute("**/score*")
    again.click()
    expect(page.get_by_role("button", name="0.bmp")).to_be_focused()
    expect(page.get_by_text("6 images: 6 normal.")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_image_that_is_refused_stops_no_other(window: Window) -> None:
    """Contract: what is wrong with one file is said of it alone."""
    window.expected = [REFUSED]
    said = {"title": "Image too large", "detail": "Save it smaller."}
    answers = [413]
    window.page.route(
        "**/score*",
        lambda route: (
            route.fulfill(status=answers.pop(), json=said) if answers else route.continue_()
        ),
    )
    drop(window, "0.bmp", "1.bmp", "2.bmp")
    expect(window.page.get_by_text("3 images: 2 normal, 1 invalid.")).to_be_visible()


def test_thousands_of_files_come_a_few_at_a_time(window: Window) -> None:
    """Law: the page lives meanwhile, and what is no image is left out as it is where one learns."""
    page = window.page
    page.route("**/score*", lambda route: None)  # never answered
    drop(window, "0.bmp", "notes.txt")
    expect(page.get_by_text("1 file left out, being no image: notes.txt.")).to_be_visible()
    assert page.locator("input[type=file]").first.evaluate(MANY) <= 100
    all_come = page.get_by_text("1,001 images: 1,001 to come.")
    expect(all_come).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Clear the list").click()
    assert page.locator(".strip li").count() == 0


def test_a_stream_that_ends_is_not_the_job_s_end(window: Window, server: Server) -> None:
    """Law: what a cut connection said last is no outcome; a refused one gives the button back."""
    page = window.page
    cut: list[str] = []

    def events(route: Route) -> None:
        job = server.client.get(route.request.url.removesuffix("/events")).json()
        cut.append(job["id"])
        body = f"id: x\nevent: progress\ndata: {json.dumps(job | {'state': 'running'})}\n\n"
        if len(cut) == 1:
            route.fulfill(content_type="text/event-stream", body=body)
        else:
            route.continue_()

    page.route("**/events", events)
    window.open(f"/detectors/{NAME}/threshold")
    run = page.get_by_role("button", name="Judge the past again")
    run.click()
    expect(page.get_by_text(JUDGED)).to_be_visible()
    assert len(cut) == 2
    page.unroute("**/events")
    window.expected = [REFUSED]
    gone = {"title": "Unknown job", "detail": "there is no such job"}
    page.route("**/events", lambda route: route.fulfill(status=404, json=gone))
    run.click()
    expect(page.get_by_text("there is no such job")).to_be_visible()
    expect(run).to_be_enabled()
    page.unroute("**/events")
    page.get_by_role("button", name="Follow it again").click()
    expect(page.get_by_text(JUDGED)).to_be_visible()


def test_what_is_applied_is_what_was_seen(window: Window, server: Server) -> None:
    """Law: a line is drawn on the version it was tried on, whatever serves by then."""
    page = window.page
    url = f"/v1/detectors/{NAME}/threshold"
    seen = server.client.get(url).json()["version"]
    window.open(f"/detectors/{NAME}/threshold")
    rate = page.get_by_label("In %", exact=True)
    for none in ("100", "0", "250"):
        rate.fill(none)
        expect(page.get_by_text("Give every number, and rates above 0")).to_be_visible()
    rate.fill("10")
    expect(page.get_by_text("at most 10 %")).to_be_visible()
    line = {"method": "conformal", "target": 0.2}
    other = server.client.put(url, json=line).json()
    assert other["in_service"] == other["version"]
    page.get_by_role("button", name="Apply this line").click()
    moved = f"Version {other['version']} has gone into service since"
    expect(page.get_by_role("dialog")).to_contain_text(moved)
    check(window)
    with page.expect_request("**/threshold?*") as sent:
        answer_dialog(window, "Apply")
    assert f"base={seen}" in sent.value.url
    expect(page.locator("#messages")).to_contain_text(
        f"Version {other['version'] + 1} has the line"
    )


def test_the_smallest_p_value_says_what_it_comes_from(window: Window) -> None:
    """Contract: no more than that no calibration image scored as high; the rest is not known."""
    window.open(f"/detectors/{NAME}/inspect")
    said = window.page.evaluate(
        """async (images) => {
          const { chance } = await import("./js/parts/verdict.js");
          return [chance(1 / (images + 1), images), chance(1 / (images + 1)), chance(0.1, images)];
        }""",
        IMAGES,
    )
    assert said[0].startswith("None of the 39 calibration images scored as high: at most")
    assert said[1] == "About 1 in 40 normal images scores at least as high (p-value 0.025)."
    assert said[2].startswith("About 1 in 10 normal images")


def test_numbers_are_read_as_they_are(window: Window) -> None:
    """Law: almost all is not all, almost an hour not sixty minutes."""
    window.open()
    assert window.page.evaluate(
        """async () => {
          const { ago, duration, share } = await import("./js/format.js");
          const seconds = (value) => ago(new Date(0).toISOString(), 1000 * value);
          return [[0.996, 0.9996, 1, 0.95, 0.0123, 0].map((each) => share(each)),
            [59.7, 75, 3599.7, 3720].map(duration), [3599, 3600].map(seconds)];
        }"""
    ) == [
        ["99.6 %", "99.96 %", "100 %", "95 %", "1.2 %", "0 %"],
        ["1 min", "1 min 15 s", "1 h", "1 h 2 min"],
        ["59 min. ago", "1 hr. ago"],
    ]


def test_a_live_history_says_once_that_it_is_behind(window: Window) -> None:
    """Contract: in one place while it lasts, not in a message every few seconds."""
    page = window.page
    page.clock.install()
    window.expected = [GONE]
    window.open(f"/detectors/{NAME}/history")
    page.get_by_role("checkbox", name="Live").check()
    page.route("**/history?*", lambda route: route.abort())
    for _ in range(3):
        page.clock.run_for(5_500)
    behind = page.get_by_role("status").filter(has_text="What is shown is older.")
    expect(behind).to_be_visible()
    assert page.locator("#messages").inner_text() == ""
    page.unroute("**/history?*")
    page.clock.run_for(5_500)
    expect(behind).to_have_count(0)
