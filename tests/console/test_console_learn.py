"""Creating, fitting and calibrating in the page, and what comes of it."""

from pathlib import Path
from typing import Any

import pytest
from brick_pictures import HOSTILE, defective, fitted, good, saved
from browsing import Window
from console_checks import answer_dialog, check, choose, play, region
from playwright.sync_api import expect
from real_server import Server


def told(server: Server, name: str) -> Any:
    return server.client.get(f"/v1/detectors/{name}").json()


def latest(server: Server, name: str) -> Any:
    return server.client.get(f"/v1/detectors/{name}/versions").json()["versions"][-1]


def test_a_detector_with_a_region(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: names are judged as they are typed; the region is drawn by keyboard and pointer."""
    page = window.page
    window.open("/new")
    name = page.get_by_label("Name", exact=True)
    for typed, wrong in (("lid camera", "Spaces"), ("-lid", "Begin with"), (HOSTILE, "Begin with")):
        name.fill(typed)
        expect(page.get_by_text(wrong)).to_be_visible()
    page.get_by_role("button", name="Create").click()
    name.fill("lid-camera")
    page.get_by_label("A region, the same in every image").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("three corners at least")).to_be_visible()
    check(window)
    choose(page.locator("form"), "Choose files", saved(tmp_path, good(0, 1)) / "0.png")
    for _ in range(3):
        page.get_by_role("button", name="Add a corner").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.get_by_role("status").filter(has_text="Corner 3 of 3")).to_have_text(
        "Corner 3 of 3: 51 % from the left, 75 % from the top."
    )
    stage = page.get_by_role("img", name="Sample image").bounding_box()
    assert stage is not None
    at = page.get_by_role("button", name="Corner 1").bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.1 * stage["width"], stage["y"] + 0.3 * stage["height"], steps=4)
    page.mouse.up()
    page.mouse.click(stage["x"] + 0.5 * stage["width"], stage["y"] + 0.05 * stage["height"])
    expect(page.get_by_role("button", name="Corner 4")).to_be_visible()
    page.get_by_text("More: how it judges").click()
    page.get_by_label("Scorer").select_option("regional")
    check(window)
    with page.expect_request("**/v1/detectors") as creating:
        page.get_by_role("button", name="Create").click()
    sent: Any = creating.value.post_data_json
    (corners,) = sent["mask"]["polygons"]
    assert len(corners) == 4
    assert corners[0] == pytest.approx([0.1, 0.3], abs=0.02)
    assert corners[1] == pytest.approx([0.5, 0.05], abs=0.02)
    assert corners[3] == [0.51, 0.75]
    expect(page.get_by_role("heading", name="lid-camera: fit and calibrate")).to_be_visible()
    made = told(server, "lid-camera")
    assert (made["mask"], made["scorer"], made["state"]) == ("fixed", "regional", "created")
    window.open("/new")
    name.fill("lid-camera")
    expect(page.get_by_text("of this name already")).to_be_visible()


def test_fit_by_a_folder(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: groups come from folders, what is no image is named with its reason, as text."""
    server.client.post("/v1/detectors", json={"name": "lids", "image_size": 96})
    window.expected = ["ERR_FILE_NOT_FOUND"]  # Chromium, of thumbnails that are no image
    wrong = [(f"lot 1/{HOSTILE}.png", b"no", ""), ("lot 1/notes.txt", b"no", "")]
    images = [*good(0, 12, "lot 1/"), *good(20, 12, "lot 2/"), *wrong]
    where = saved(tmp_path / "line", images)
    window.open("/detectors/lids/learn")
    fit, calibrate = region(window, "Fit"), region(window, "Calibrate")
    expect(calibrate.get_by_text("after the first step")).to_be_visible()
    expect(fit.get_by_role("button", name="Fit", exact=True)).to_be_disabled()
    check(window)
    choose(fit, "Choose a folder", where)
    expect(fit.get_by_text("25 images")).to_be_visible()
    expect(fit.get_by_text("1 file left out, being no image: line/lot 1/notes.txt")).to_be_visible()
    expect(fit.get_by_role("list", name="Images").get_by_role("listitem")).to_have_count(25)
    groups = fit.get_by_role("list", name="Groups").get_by_role("listitem")
    expect(groups).to_have_text(["lot 1 · 13", "lot 2 · 12"])
    check(window)
    fit.get_by_role("button", name="Fit", exact=True).click()
    last = region(window, "Last job")
    expect(last).to_contain_text("24 images fitted. This made version 2, which is in service.")
    expect(last.get_by_role("cell", name=f"lot 1/{HOSTILE}.png")).to_be_visible()
    expect(last.get_by_role("cell", name="not an image")).to_be_visible()
    check(window)
    images = server.client.get("/v1/detectors/lids/versions/2/images").json()["images"]
    assert {each["group"] for each in images} == {"lot 1", "lot 2"}
    last.get_by_role("button", name="Next: calibrate").click()
    expect(calibrate.get_by_role("heading", name="Calibrate")).to_be_focused()


def test_calibrate_extend_and_again(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: the API's promise and report in words; what is stale has a way out."""
    page = window.page
    fitted(server, "caps")
    where = saved(
        tmp_path / "line", [*good(1000, 20, "monday/"), *good(1500, 20, f"{HOSTILE[:8]}/")]
    )
    odd = [{"name": n, "mimeType": t, "buffer": b} for n, b, t in defective(2000, 4)]
    window.open("/detectors/caps/learn")
    calibrate = region(window, "Calibrate")
    choose(calibrate, "Choose a folder", where)
    calibrate.get_by_text("Known defects, groups").click()
    choose(calibrate, "Choose files", odd, at=1)
    calibrate.get_by_label("False alarms aimed at, in %").fill("10")
    calibrate.get_by_label("A band of uncertain images").check()
    calibrate.get_by_label("Uncertain from, in %").fill("20")
    check(window)
    calibrate.get_by_role("button", name="Calibrate", exact=True).click()
    last = region(window, "Last job")
    made = "This made version 3, which is in service."
    expect(last).to_contain_text(made)
    drawn = told(server, "caps")
    assert drawn["threshold"]["target"] == pytest.approx(0.1)
    assert drawn["threshold"]["review_target"] == pytest.approx(0.2)
    assert (drawn["calibration_images"], drawn["known_anomalies"], drawn["groups"]) == (40, 4, 2)
    expect(last).to_contain_text(drawn["threshold"]["statement"])
    (job,) = [
        each
        for each in server.client.get("/v1/jobs", params={"detector": "caps"}).json()["jobs"]
        if each["kind"] == "calibrate"
    ]
    report = server.client.get(f"/v1/jobs/{job['id']}").json()["result"]["groups"]
    outside = report["held_out"]
    expect(last).to_contain_text(f"({outside['count']} of {outside['of']})")
    rows = last.get_by_role("table", name="Each group treated as new").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("<img src")
    check(window)

    choose(
        region(window, "Fit"),
        "Choose files",
        [saved(tmp_path, good(3000, 3)) / f"{at}.png" for at in range(3000, 3003)],
    )
    region(window, "Fit").get_by_role("button", name="Fit", exact=True).click()
    check(window)
    answer_dialog(window, "Extend", "three more")
    expect(last).to_contain_text("3 images fitted. It now knows 33 in all.")
    assert latest(server, "caps")["reason"] == "three more"
    assert told(server, "caps")["in_service"] == 3
    expect(page.get_by_text("Version 3 is in service; the latest is version 4")).to_be_visible()
    check(window)
    calibrate.get_by_role("button", name="Calibrate again with the same images").click()
    answer_dialog(window, "Calibrate again", "after three more")
    expect(last).to_contain_text("This made version 5, which is in service.")
    assert latest(server, "caps")["reason"] == "after three more"


def test_a_role_is_offered_what_it_may_do(window: Window, server: Server) -> None:
    """Contract: role fit fits, and is told who calibrates and nothing of deleting."""
    fitted(server, "pins")
    play(window, "fit")
    window.open("/detectors/pins/learn")
    expect(region(window, "Calibrate")).to_contain_text("takes a key of role admin")
    expect(region(window, "Calibrate").get_by_role("button")).to_have_count(0)
    expect(window.page.get_by_text("Delete this detector")).to_have_count(0)
    check(window)


def test_deleting_takes_a_yes(window: Window, server: Server) -> None:
    """Contract: of an admin; called off, it stays."""
    page = window.page
    server.client.post("/v1/detectors", json={"name": "old"})
    window.open("/detectors/old/learn")
    page.get_by_text("Delete this detector").click()
    page.get_by_role("button", name="Delete old").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert told(server, "old")["name"] == "old"
    page.get_by_role("button", name="Delete old").click()
    answer_dialog(window, "Delete it", "not used")
    expect(page.get_by_role("heading", name="Detectors", exact=True)).to_be_visible()
    assert server.client.get("/v1/detectors/old").status_code == 404
