"""Inspecting images: the service's verdicts as they are, with their evidence, and reviews."""

import base64
import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from brick_pictures import HOSTILE, File, defective, fitted, good, send
from browsing import Window
from console_checks import check, play
from http_helpers import followed
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FilePayload, Locator, expect
from real_server import Server

from demo.scenes import scene
from detector import heatmap
from detector.kinds.pictures.painting import CLEAR, FULL

NAME, DRAWN = "bricks", "drawn"
REFUSED = "the server responded with a status of"
WHOLE = "[[[0.02,0.02],[0.98,0.02],[0.98,0.98],[0.02,0.98]]]"
CORNERS = [[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]]
"""Of the region that three presses of "Add a corner" give."""
COIN = 2003
"""Seed of an image with a foreign object that stands out."""


@pytest.fixture(scope="module", autouse=True)
def learned(server: Server) -> None:
    """A detector with a map and an uncertain band, and one that is told its region each time."""
    made = server.client.post("/v1/detectors", json={"name": NAME})
    assert made.status_code == 201
    upload(server, NAME, "fit", good(0, 24))
    upload(server, NAME, "calibrate", good(1000, 30), target=0.04, review_target=0.2)
    made = server.client.post("/v1/detectors", json={"name": DRAWN, "mask": "request"})
    assert made.status_code == 201
    upload(server, DRAWN, "fit", good(0, 16), WHOLE)
    upload(server, DRAWN, "calibrate", good(1000, 12), WHOLE, target=0.1)


def upload(
    server: Server, name: str, verb: str, images: Sequence[File], mask: str = "", **how: Any
) -> None:
    """Do a job to its end, with a mask if there is one."""
    files = [("images", each) for each in images]
    data = {"mask": mask} if mask else None
    begun = server.client.post(f"/v1/detectors/{name}/{verb}", files=files, data=data, params=how)
    assert followed(server.client, begun).status_code == 200, begun.text


def kept(server: Server, verdict: str) -> list[dict[str, Any]]:
    """Return the history, which is written within a second or two."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = server.client.get(f"/v1/detectors/{NAME}/history", params={"verdict": verdict})
        if images := answer.json()["images"]:
            return list(images)
        time.sleep(0.1)
    raise AssertionError("nothing was kept")


def drop(window: Window, images: Sequence[File], name: str = NAME) -> None:
    """Open the page, and give it files."""
    window.open(f"/detectors/{name}/inspect")
    given = [FilePayload(name=name, mimeType=kind, buffer=file) for name, file, kind in images]
    window.page.locator("input[type=file]").first.set_input_files(given)


def verdict(window: Window) -> Locator:
    return window.page.get_by_role("region", name="Verdict")


def explained(window: Window) -> None:
    """Wait for the evidence of the chosen image."""
    window.page.get_by_role("heading", name="The most similar normal images").wait_for()


def shown_map(window: Window) -> NDArray[np.float64]:
    """Return the pixels of the map that lies over the picture, (h, w, 4)."""
    address = window.page.evaluate("document.querySelector('.layers canvas').toDataURL()")
    content = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)), dtype=np.float64)


def test_a_planted_defect_is_shown_explained_and_reviewed(window: Window, server: Server) -> None:
    """Contract: verdict, parts and look-alikes are the service's; the review is kept there."""
    coin = defective(COIN, 1)[0]
    drop(window, [*good(3000, 2), coin])
    page = window.page
    expect(page.get_by_text("3 images: 1 anomalous")).to_be_visible()
    page.get_by_role("button", name=f"{coin[0]}: anomalous").click()
    explained(window)
    (said,) = kept(server, "anomalous")
    expect(verdict(window)).to_contain_text(f"{said['score']:.4g}")
    expect(verdict(window)).to_contain_text("None of the 30 calibration images scored as high")
    expect(verdict(window)).to_contain_text("1 in 31 normal images")
    expect(verdict(window).get_by_role("img")).to_have_attribute(
        "aria-label",
        f"Score {said['score']:.4g} on a scale from 0 to twice the threshold of "
        f"{said['threshold']:.4g}: {said['score'] - said['threshold']:.3g} above the threshold, "
        f"{100 * (said['score'] / said['threshold'] - 1):.0f} % of it.",
    )
    expect(page.get_by_role("img", name="Normal image")).to_have_count(3)
    expect(page.get_by_text("Places", exact=True)).to_be_visible()
    check(window)

    verdict(window).get_by_label("Note").fill(HOSTILE)
    verdict(window).get_by_role("button", name="Confirmed anomaly").click()
    expect(verdict(window).get_by_role("listitem")).to_contain_text(HOSTILE)
    (review,) = server.client.get(f"/v1/images/{said['id']}").json()["reviews"]
    assert (review["word"], review["note"]) == ("confirmed", HOSTILE)
    page.get_by_role("button", name=": normal").first.click()
    expect(verdict(window).get_by_role("button", name="Missed anomaly")).to_be_visible()
    verdict(window).get_by_role("button", name="Right to pass").click()
    expect(verdict(window).get_by_role("listitem")).to_contain_text("Right to pass")
    latest = server.client.get("/v1/reviews", params={"detector": NAME}).json()["reviews"][0]
    told = server.client.get(f"/v1/images/{latest['image']}").json()["image"]
    assert (latest["word"], told["verdict"]) == ("passed", "normal")
    page.get_by_role("button", name=f"{coin[0]}: anomalous").click()
    expect(verdict(window).get_by_role("listitem")).to_contain_text("Confirmed anomaly")


def test_the_map_is_painted_as_the_service_paints_it(window: Window, server: Server) -> None:
    """Reference: opacity and colour of ``app.scoring.overlay``, at the pixels of the canvas."""
    coin = defective(COIN, 1)
    drop(window, coin)
    explained(window)
    told = send(server, NAME, "explain", coin)
    values = heatmap.upsample(np.array(told["map"], dtype=float), 256, 256)
    ratio = values / told["result"]["threshold"]
    strength = np.clip((ratio - CLEAR) / (FULL - CLEAR), 0, 1)
    painted = shown_map(window)
    np.testing.assert_allclose(painted[..., 3], 255 * np.sqrt(strength), atol=1)
    redness = np.clip((ratio - 1) / (FULL - 1), 0, 1)[..., None]
    colour = (1 - redness) * np.array([255, 215, 0]) + redness * np.array([215, 0, 20])
    strong = painted[..., 3] > 128  # fainter ones lose digits to their opacity
    assert strong.any()
    np.testing.assert_allclose(painted[strong][:, :3], colour[strong], atol=3)
    mask = scene("foreign object", COIN).mask
    assert mask is not None
    assert painted[mask, 3].mean() > 4 * painted[~mask, 3].mean()


def test_keys_lead_along_the_strip_and_switch_layers(window: Window) -> None:
    """Contract: arrows, h and o; in a text field they are letters."""
    drop(window, [*good(3000, 1), *defective(COIN, 1)])
    page = window.page
    expect(page.get_by_text("2 images: 1 anomalous, 1 normal.")).to_be_visible()
    page.get_by_role("button", name=": normal").click()
    page.keyboard.press("ArrowRight")
    odd = page.get_by_role("button", name=": anomalous")
    expect(odd).to_be_focused()
    expect(odd).to_have_attribute("aria-current", "true")
    page.keyboard.press("ArrowRight")  # there is no further one
    explained(window)
    layer, outline = page.locator(".layers canvas"), page.locator(".layers svg")
    for key, where, label in (("h", layer, "Heatmap"), ("o", outline, "Outline of the oddest")):
        switch = page.get_by_role("checkbox", name=label)
        for is_on in (False, True):
            page.keyboard.press(key)
            expect(where).to_be_visible(visible=is_on)
            expect(switch).to_be_checked(checked=is_on)
    page.get_by_label("Heatmap opacity").fill("30")
    expect(layer).to_have_css("opacity", "0.3")
    verdict(window).get_by_label("Note").press_sequentially("oh")
    expect(verdict(window).get_by_label("Note")).to_have_value("oh")
    expect(layer).to_be_visible()


def test_what_is_no_image_has_its_reason(window: Window) -> None:
    """Contract: the service's, for that file alone; its name is shown as it is written."""
    drop(window, [(f"{HOSTILE}.png", b"no picture", "image/png"), *good(3000, 1)])
    expect(window.page.get_by_text("2 images: 1 normal, 1 invalid.")).to_be_visible()
    expect(verdict(window)).to_contain_text("not an image of the formats")
    expect(verdict(window).get_by_role("heading", name=HOSTILE)).to_be_visible()
    assert window.page.locator("img[src='x']").count() == 0
    check(window)
    window.page.get_by_role("button", name="Clear the list").click()
    expect(window.page.get_by_role("button", name="Clear the list")).to_be_hidden()


def test_a_busy_service_is_asked_again(window: Window) -> None:
    """Contract: nobody has to drop the images anew because others were faster."""
    answers = [503, 200]
    window.expected = [REFUSED]
    window.page.route(
        "**/score*",
        lambda route: (
            route.continue_()
            if answers.pop(0) == 200
            else route.fulfill(status=503, json={"title": "Overloaded", "detail": "too busy"})
        ),
    )
    drop(window, good(3000, 1))
    expect(window.page.get_by_text("1 image: 1 normal.")).to_be_visible(timeout=60_000)
    assert answers == []


def test_a_drawn_region_goes_with_every_image(window: Window, server: Server) -> None:
    """Law: nothing is sent before it is drawn; then the score is the API's with the same mask."""
    images = defective(COIN, 2)
    drop(window, images, DRAWN)
    page = window.page
    expect(verdict(window)).to_contain_text("waits for its region")
    assert server.client.get(f"/v1/detectors/{DRAWN}/history").json()["images"] == []
    use = page.get_by_role("button", name="Use this region")
    expect(use).to_be_disabled()
    for _ in CORNERS:
        page.get_by_role("button", name="Add a corner").click()
    check(window)
    use.click()
    explained(window)
    files = [("images", each) for each in images]
    expected = server.client.post(
        f"/v1/detectors/{DRAWN}/score", files=files, data={"mask": f"[{CORNERS}]"}
    ).json()["results"]
    for result in expected:
        name = f"{result['name']}: anomalous, score {result['score']:.3g}"
        expect(page.get_by_role("button", name=name)).to_be_visible()
    assert page.locator(".layers canvas").count() == 2  # what lies outside is darkened
    check(window)


def test_without_calibration_there_is_a_score_and_no_verdict(
    window: Window, server: Server
) -> None:
    """Contract: and the way to a verdict; before a fit, the way to that."""
    fitted(server, "plain")
    assert server.client.post("/v1/detectors", json={"name": "fresh"}).status_code == 201
    drop(window, good(3000, 1), "plain")
    explained(window)
    expect(verdict(window)).to_contain_text("No verdict")
    expect(verdict(window).get_by_role("link", name="Calibrate it")).to_be_visible()
    expect(verdict(window).get_by_role("heading", name="Review")).to_have_count(0)
    expect(window.page.get_by_role("checkbox", name="Heatmap")).to_be_hidden()
    check(window)
    window.open("/detectors/fresh/inspect")
    window.page.get_by_role("link", name="Fit and calibrate").last.click()
    expect(window.page).to_have_url(f"{window.url}#/detectors/fresh/learn")


def test_who_may_only_score_is_offered_no_review(window: Window) -> None:
    """Contract: what was said is shown, buttons to say more are not."""
    play(window, "score")
    drop(window, defective(COIN, 1))
    explained(window)
    expect(verdict(window)).to_contain_text("Nobody has reviewed this image yet.")
    assert verdict(window).get_by_role("button").count() == 0
