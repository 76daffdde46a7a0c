"""The Drift page: how the traffic stands, live, and what a person says to an alarm."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from brick_pictures import File, dimmed, fitted, good, send
from browsing import Window
from console_checks import answer_dialog, check, play
from playwright.sync_api import expect
from real_server import Server

NAME = "bricks"


@pytest.fixture(scope="module", autouse=True)
def learned(server: Server) -> None:
    """A detector that has seen what it was calibrated on, and one that was only fitted."""
    fitted(server, NAME)
    send(server, NAME, "calibrate", good(1000, 140))
    score(server, good(3000, 30))
    fitted(server, "new")


def score(server: Server, files: list[File]) -> None:
    for start in range(0, len(files), 25):
        send(server, NAME, "score", files[start : start + 25])


def drift(server: Server, until: Callable[[dict[str, Any]], bool] = lambda _: True) -> Any:
    """Return how the traffic stands, as soon as it stands so."""
    deadline = time.monotonic() + 60
    while not until(told := server.client.get(f"/v1/detectors/{NAME}/drift").json()):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    return told


def digits(value: float, most: int = 3) -> str:
    """Return a number as the page writes it."""
    return f"{float(f'{value:.{most}g}'):g}"


def test_a_change_shows_by_itself(window: Window, server: Server) -> None:
    """Contract: a page that is open tells of the alarm, and the focus stays where it is."""
    page = window.page
    window.open(f"/detectors/{NAME}/drift")
    expect(page.get_by_role("region", name="State")).to_contain_text("Normal")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_role("button", name="Set a new baseline").focus()
    check(window)
    score(server, dimmed(5000, 150))
    told = drift(server, lambda now: now["window"]["latched"])
    state = page.get_by_role("region", name="State")
    expect(state).to_contain_text(told["summary"], timeout=60_000)  # asked every ten seconds
    expect(page.get_by_role("status").filter(has_text="The traffic has changed")).to_be_attached()
    expect(page.get_by_role("button", name="Set a new baseline")).to_be_focused()


def test_the_evidence_is_the_service_s(window: Window, server: Server) -> None:
    """Contract: every stream beside its line, and what is said of the window."""
    page, told = window.page, drift(server)
    window.open(f"/detectors/{NAME}/drift")
    bars = page.get_by_role("region", name="Evidence").get_by_role("listitem")
    expect(bars).to_have_count(len(told["monitors"]))
    for at, stream in enumerate(told["monitors"]):
        found = f"{digits(stream['evidence_log10'])} of {digits(stream['threshold_log10'])}"
        expect(bars.nth(at)).to_contain_text(found)
        expect(bars.nth(at).get_by_role("img", name=f"evidence {found}")).to_be_visible()
        expect(bars.nth(at).get_by_text("alarm", exact=True)).to_have_count(
            int(stream["latched"] is not None)
        )
    alarmed = told["window"]["alarmed"]
    tested = page.get_by_role("region", name="Windows of images")
    expect(tested).to_contain_text(alarmed["text"][1:])
    expect(tested).to_contain_text(f"Together p = {digits(alarmed['p_value'], 2)};")
    expect(tested).to_contain_text(alarmed["circumstances"]["looks_like"])
    most = alarmed["contributors"][0]["image"]
    expect(tested.get_by_role("link", name="Image 1", exact=True)).to_have_attribute(
        "href", f"#/detectors/{NAME}/history?image={most}"
    )
    for each in page.get_by_text("What these words mean").all() + tested.locator("summary").all():
        each.click()
    check(window)


def test_the_past_and_the_power_are_asked_for(window: Window, server: Server) -> None:
    """Contract: what would be noticed, and what would have been, on demand."""
    page = window.page
    window.open(f"/detectors/{NAME}/drift")
    page.get_by_role("button", name="Simulate").click()
    ahead = page.get_by_role("region", name="What would be noticed")
    expect(ahead.get_by_role("row")).to_have_count(6, timeout=60_000)
    expect(ahead).to_contain_text("higher by 1 standard deviation")
    page.get_by_label("One false alarm in how many images").fill("100000")
    page.get_by_role("button", name="Watch again").click()
    past = page.get_by_role("region", name="What would have been")
    expect(past.get_by_role("table", name="How near each monitor came")).to_be_visible()
    job = server.client.get("/v1/jobs", params={"detector": NAME, "limit": 1}).json()["jobs"][0]
    assert job["kind"] == "drift-replay"
    result = server.client.get(f"/v1/jobs/{job['id']}").json()["result"]
    expect(past).to_contain_text(result["summary"])
    assert result["promise_images"] == 100_000
    check(window)


@pytest.mark.parametrize("role", ["score", "fit"])
def test_who_may_not_is_not_asked(window: Window, role: str) -> None:
    """Contract: alarms are an admin's to end, simulations take the role fit."""
    play(window, role)
    window.open(f"/detectors/{NAME}/drift")
    expect(window.page.get_by_role("region", name="State")).to_contain_text("Alarm")
    names = ["Acknowledge", "Set a new baseline"] + (["Simulate"] if role == "score" else [])
    for name in names:
        expect(window.page.get_by_role("button", name=name)).to_have_count(0)
    check(window)


def test_alarms_are_acknowledged_and_the_baseline_moved(window: Window, server: Server) -> None:
    """Contract: one monitor, then all, with the reason in the audit; then a new normal."""
    page = window.page
    window.open(f"/detectors/{NAME}/drift")
    name = "Acknowledge the alarms of brightness, contrast and sharpness"
    page.get_by_role("button", name=name).click()
    check(window)
    answer_dialog(window, "Cancel")
    assert drift(server)["monitors"][-1]["monitor"] == "input"
    page.get_by_role("button", name=name).click()
    answer_dialog(window, "Acknowledge", "the lamp was replaced")
    expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.get_by_role("button", name="Acknowledge all").click()
    answer_dialog(window, "Acknowledge")
    expect(page.get_by_role("region", name="State")).to_contain_text("Normal")
    lines = server.client.get("/v1/audit", params={"subject": NAME}).json()["lines"]
    assert [line["reason"] for line in lines if line["action"] == "drift.acknowledge"] == [
        "the lamp was replaced",
        "",
    ]
    page.get_by_role("button", name="Set a new baseline").click()
    images = page.get_by_label("Last images, flagged or not")
    images.fill("5")
    page.get_by_role("dialog").get_by_role("button", name="Set the baseline").click()
    assert images.evaluate("input => input.validity.rangeUnderflow")  # the browser says so itself
    images.fill("100")
    answer_dialog(window, "Set the baseline")
    expect(page.get_by_role("region", name="State")).to_contain_text("past traffic, version 3")
    assert drift(server)["baseline"]["of"] == "traffic"
    check(window)


def test_what_is_refused_is_told(window: Window) -> None:
    """Contract: the problem's own sentence, and the button can be pressed again."""
    window.expected = ["the server responded with a status of 503"]
    page = window.page
    window.open(f"/detectors/{NAME}/drift")
    detail = "<b>storage</b> cannot be reached"
    body = f'{{"type": "urn:x", "title": "Unavailable", "status": 503, "detail": "{detail}"}}'
    page.route("**/rebaseline*", lambda route: route.fulfill(status=503, body=body))
    page.get_by_role("button", name="Set a new baseline").click()
    answer_dialog(window, "Set the baseline")
    expect(page.get_by_text(detail)).to_be_visible()
    expect(page.get_by_role("button", name="Set a new baseline")).to_be_enabled()


def test_a_detector_without_calibration_says_what_is_missing(window: Window) -> None:
    """Contract: why there is nothing, and the way to there being something."""
    window.expected = ["the server responded with a status of 409"]
    window.open("/detectors/new/drift")
    expect(window.page.get_by_role("heading", name="Nothing to compare with yet")).to_be_visible()
    link = window.page.get_by_role("main").get_by_role("link", name="Fit and calibrate").last
    expect(link).to_have_attribute("href", "#/detectors/new/learn")
    check(window)
