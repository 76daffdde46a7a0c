"""The Threshold page: the same figures as the API's, live, and a version only when asked for."""

import json
from typing import Any

import pytest
from brick_pictures import HOSTILE, calibrated, fitted, good, send
from browsing import Window
from console_checks import answer_dialog, check, play
from playwright.sync_api import Locator, Response, expect
from real_server import Server

NAME = "bricks"
REFUSED = "the server responded with a status of 422"


@pytest.fixture(scope="module", autouse=True)
def learned(server: Server) -> None:
    """A detector whose line is at 5 %."""
    calibrated(server, NAME)


def opened(window: Window, name: str = NAME) -> None:
    """Open the page, and wait until it says what the line would do."""
    window.open(f"/detectors/{name}/threshold")
    expect(window.page.get_by_role("region", name="What the line would do")).not_to_contain_text(
        "Asking what"
    )


def told(window: Window) -> Locator:
    return window.page.get_by_role("region", name="What the line would do")


def is_tried(response: Response, method: str = "") -> bool:
    """Whether a response is about a line, and not the table of rates."""
    if not response.url.endswith("/preview"):
        return False
    line = asked(response).get("threshold")
    return line is not None and method in ("", line["method"])


def asked(response: Response) -> dict[str, Any]:
    return dict(json.loads(response.request.post_data or "{}"))


def previewed(server: Server, **body: Any) -> Any:
    answer = server.client.post(f"/v1/detectors/{NAME}/threshold/preview", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_opens_with_the_line_in_service(window: Window, server: Server) -> None:
    """Contract: the picture, the promise and the table are the API's; there is nothing to apply."""
    opened(window)
    now = server.client.get(f"/v1/detectors/{NAME}/threshold").json()
    found = previewed(server, targets=[0.05], threshold={"method": "conformal", "target": 0.05})
    point = found["points"][0]
    expect(told(window)).to_contain_text(now["statement"])
    expect(told(window)).to_contain_text(f"{point['false_alarms_per_1000']:.3g}")
    for share in (found["in_sample"], found["detections"]):
        expect(told(window)).to_contain_text(f"{share['count']} of {share['of']}")
    expect(window.page.get_by_role("button", name="Apply this line")).to_be_disabled()
    picture = window.page.get_by_role("img", name="Histogram of the scores of 60 normal images")
    expect(picture).to_contain_text(f"in service {now['value']:.4g}")
    row = window.page.get_by_role("row").filter(has_text="0.1 %")
    expect(row.last).to_contain_text("needs 999 calibration images")


def test_the_slider_and_the_box_move_together(window: Window, server: Server) -> None:
    """Law: one rate, wherever it is given; the line and its promise follow."""
    opened(window)
    slider, box = window.page.get_by_role("slider"), window.page.get_by_label("In %", exact=True)
    box.fill("2")
    expect(slider).to_have_attribute("aria-valuetext", "2 %")
    expect(told(window)).to_contain_text("at most 2 %")
    with window.page.expect_response(is_tried) as answer:
        slider.press("ArrowLeft")
    expect(box).to_have_value("2.2")
    assert asked(answer.value)["threshold"] == {"method": "conformal", "target": 0.022}
    expect(told(window)).to_contain_text(answer.value.json()["proposed"]["statement"])
    window.page.get_by_role("button", name="Try 10 %").click()
    expect(box).to_have_value("10")
    expect(told(window)).to_contain_text("at most 10 %")
    picture = window.page.get_by_role("img")
    line = previewed(server, targets=[0.1])["points"][0]["threshold"]
    expect(picture).to_contain_text(f"proposed {line:.4g}")


def test_an_impossible_rate_says_what_it_needs(window: Window) -> None:
    """Contract: in the service's words, with a way on that works."""
    window.expected = [REFUSED]
    opened(window)
    window.page.get_by_role("slider").press("End")
    expect(told(window)).to_contain_text("needs at least 999 calibration images, there are 60")
    expect(window.page.get_by_role("button", name="Apply this line")).to_be_disabled()
    check(window)
    window.page.get_by_role("button", name="the lowest here").click()
    expect(told(window)).to_contain_text("Of new normal images like the 60 calibration images")
    window.page.get_by_label("In %", exact=True).fill("")
    expect(told(window)).to_contain_text("Give every number")


def test_the_line_can_be_drawn_by_hand(window: Window) -> None:
    """Contract: it is dragged to a score, nothing is promised of it, and the way back is there."""
    opened(window)
    handle = window.page.locator(".handle").bounding_box()
    assert handle is not None
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    window.page.mouse.move(x, y)
    window.page.mouse.down()
    with window.page.expect_response(is_tried) as answer:
        window.page.mouse.move(x + 120, y, steps=20)
    window.page.mouse.up()
    tried = asked(answer.value)["threshold"]
    assert tried["method"] == "manual"
    value = window.page.get_by_label("Score above which an image is flagged")
    expect(value).to_have_value(f"{tried['value']:.5g}")
    expect(told(window)).to_contain_text("No promised rate")
    window.page.get_by_role("button", name="Back to a false-alarm rate").click()
    expect(told(window)).to_contain_text("at most 5 %")


def test_every_method_says_what_it_promises(window: Window) -> None:
    """Contract: each takes its own parameters, and its statement or refusal is shown."""
    window.expected = [REFUSED]
    opened(window)
    window.page.get_by_text("More ways to draw the line").click()
    for method in ("quantile", "evt", "chi2", "ksigma", "f1", "cost", "manual", "conformal"):
        with window.page.expect_response(lambda got: is_tried(got, method=method)) as answer:  # noqa: B023
            window.page.get_by_label("Method").select_option(method)
            if method == "manual":
                window.page.get_by_label("Score above which").fill("300")
        found = answer.value.json()
        words = found["proposed"]["statement"] if answer.value.ok else found["detail"][1:]
        expect(told(window)).to_contain_text(words)
        assert answer.value.ok == (method != "evt")  # 60 images have no tail of 20
    window.page.get_by_label("Chance that this very calibration").fill("10")
    expect(told(window)).to_contain_text("With probability at least 0.9")


def test_lines_by_group_and_a_band_for_review(window: Window) -> None:
    """Contract: either, not both; a group's name is text whatever it is."""
    opened(window)
    window.page.get_by_text("More ways to draw the line").click()
    window.page.get_by_label("A band for review").check()
    window.page.get_by_label("Review from this rate on").fill("15")
    expect(told(window)).to_contain_text("begins review: at most 15 %")
    window.page.get_by_label("A line for every group").check()
    expect(window.page.get_by_label("A band for review")).to_be_hidden()
    window.page.get_by_text("Lines of 2 groups").click()
    expect(told(window)).to_contain_text(HOSTILE)
    check(window)


def test_applying_makes_a_version(window: Window, server: Server) -> None:
    """Contract: after a question, with the reason in the audit; it may wait before it serves."""
    before = server.client.get(f"/v1/detectors/{NAME}").json()
    opened(window)
    dialog = window.page.get_by_role("dialog")
    apply = window.page.get_by_role("button", name="Apply this line")
    for when, rate in (("never", "15"), ("auto", "10")):
        window.page.get_by_label("In %", exact=True).fill(rate)
        expect(apply).to_be_enabled()
        apply.click()
        dialog.get_by_label("Put it into service").select_option(when)
        check(window)
        answer_dialog(window, "Apply", "line 3 agreed")
        serves = "stays in service" if when == "never" else "and is in service"
        expect(window.page.locator("#messages")).to_contain_text(serves)
    expect(window.page.get_by_label("In %", exact=True)).to_have_value("10")
    after = server.client.get(f"/v1/detectors/{NAME}").json()
    assert after["in_service"] == before["tip"] + 2
    assert after["threshold"]["target"] == 0.1
    audit = server.client.get("/v1/audit", params={"detector": NAME}).json()
    assert "line 3 agreed" in json.dumps(audit)


def test_another_version_is_looked_at(window: Window, server: Server) -> None:
    """Contract: by its address; what is applied builds on it."""
    line = {"method": "manual", "value": 300.0}
    url = f"/v1/detectors/{NAME}/threshold"
    made = server.client.put(url, json=line, params={"promote": "never"}).json()["version"]
    window.open(f"/detectors/{NAME}/threshold?version={made}")
    expect(window.page.get_by_text(f"This is version {made}, which is not")).to_be_visible()
    expect(window.page.get_by_role("img")).to_contain_text(f"of version {made} 300")
    expect(told(window)).to_contain_text("No promised rate")


@pytest.mark.parametrize(("role", "offered"), [("score", (0, 0)), ("fit", (0, 1))])
def test_a_role_is_offered_what_it_may_do(
    window: Window, role: str, offered: tuple[int, int]
) -> None:
    """Contract: it sees all, and cannot apply, nor replay where it may not."""
    play(window, role)
    opened(window)
    expect(told(window)).to_contain_text("Calibration images above it")
    buttons = [window.page.get_by_role("button", name=n) for n in ("Apply", "Judge the past again")]
    assert tuple(button.count() for button in buttons) == offered


def test_before_there_is_a_calibration(window: Window, server: Server) -> None:
    """Contract: what is missing, and the way there; a stale one can be looked at knowingly."""
    fitted(server, "young")
    window.open("/detectors/young/threshold")
    expect(window.page.get_by_role("heading", name="Not calibrated yet")).to_be_visible()
    href = window.page.get_by_role("main").get_by_role("link", name="Fit and calibrate").last
    expect(href).to_have_attribute("href", "#/detectors/young/learn")
    send(server, "young", "calibrate", good(5000, 40))
    send(server, "young", "fit", good(6000, 3), mode="extend", promote="always")
    window.open("/detectors/young/threshold?")
    expect(window.page.get_by_role("heading", name="The calibration is stale")).to_be_visible()
    check(window)
    window.page.get_by_role("link", name="Look at it all the same").click()
    expect(told(window)).to_contain_text("Of new normal images like the 40")
    expect(told(window)).to_contain_text("None are known")
    check(window)


def test_it_can_be_read_everywhere(window: Window) -> None:
    """Law: nothing is scrolled sideways, with everything unfolded."""
    opened(window)
    check(window)
    window.page.get_by_text("More ways to draw the line").click()
    window.page.get_by_label("A line for every group").check()
    window.page.get_by_text("Lines of 2 groups").click()
    check(window)
