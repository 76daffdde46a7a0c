"""Creating, fitting and calibrating in the page: what is sent, comes of it, and is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from brick_pictures import HOSTILE, defective, fitted, good
from browsing import Window
from playwright.sync_api import Locator, Request, Route, expect
from real_server import Server

GONE = "net::ERR_FAILED"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes pictures into a folder and returns it."""

    def written(*pictures: tuple[str, bytes, str]) -> Path:
        for name, content, _ in pictures:
            path = tmp_path / "line" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "line"

    return written


def step(window: Window, name: str) -> Locator:
    return window.page.get_by_role("region", name=name, exact=True)


def choose(within: Locator, button: str, files: Any, at: int = 0) -> None:
    """Give files to the chooser that a button opens."""
    with within.page.expect_file_chooser() as choosing:
        within.get_by_role("button", name=button).nth(at).click()
    choosing.value.set_files(files)


def agree(window: Window, action: str, reason: str) -> None:
    """Say yes to a question, and why."""
    dialog = window.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=action, exact=True).click()


def told(server: Server, name: str) -> Any:
    return server.client.get(f"/v1/detectors/{name}").json()


def latest(server: Server, name: str) -> Any:
    return server.client.get(f"/v1/detectors/{name}/versions").json()["versions"][-1]


def test_a_detector_with_a_region(
    window: Window, server: Server, folder: Callable[..., Path]
) -> None:
    """Contract: names are judged as they are typed; the region is drawn by keyboard and pointer."""
    page = window.page
    window.open("/new")
    name = page.get_by_label("Name", exact=True)
    for typed, wrong in (("lid camera", "Spaces"), ("-lid", "Begin with"), (HOSTILE, "Begin with")):
        name.fill(typed)
        expect(page.get_by_text(wrong)).to_be_visible()
    page.get_by_role("button", name="Create").click()
    name.fill("lid-camera")
    page.get_by_label("A region, the same in every picture").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("three corners at least")).to_be_visible()
    assert window.flaws() == []
    choose(page.locator("form"), "Choose files", folder(*good(0, 1)) / "0.png")
    for _ in range(3):
        page.get_by_role("button", name="Add a corner").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.get_by_role("status").filter(has_text="Corner 3 of 3")).to_have_text(
        "Corner 3 of 3: 51 % from the left, 75 % from the top."
    )
    stage = page.get_by_role("img", name="Sample picture").bounding_box()
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
    assert window.flaws() == []
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


def test_fit_by_a_folder(window: Window, server: Server, folder: Callable[..., Path]) -> None:
    """Contract: groups come from folders, what is no picture is named with its reason, as text."""
    server.client.post("/v1/detectors", json={"name": "lids", "image_size": 96})
    window.expected = ["ERR_FILE_NOT_FOUND"]  # Chromium, of thumbnails that are no picture
    pictures = [*good(0, 12, "lot 1/"), *good(20, 12, "lot 2/")]
    where = folder(*pictures, (f"lot 1/{HOSTILE}.png", b"no", ""), ("lot 1/notes.txt", b"no", ""))
    window.open("/detectors/lids/learn")
    fit, calibrate = step(window, "Fit"), step(window, "Calibrate")
    expect(calibrate.get_by_text("after the first step")).to_be_visible()
    expect(fit.get_by_role("button", name="Fit", exact=True)).to_be_disabled()
    assert window.flaws() == []
    choose(fit, "Choose a folder", where)
    expect(fit.get_by_text("25 pictures")).to_be_visible()
    expect(
        fit.get_by_text("1 file left out, being no picture: line/lot 1/notes.txt")
    ).to_be_visible()
    expect(fit.get_by_role("list", name="Pictures").get_by_role("listitem")).to_have_count(25)
    groups = fit.get_by_role("list", name="Groups").get_by_role("listitem")
    expect(groups).to_have_text(["lot 1 · 13", "lot 2 · 12"])
    assert window.flaws() == []
    fit.get_by_role("button", name="Fit", exact=True).click()
    last = step(window, "Last job")
    expect(last).to_contain_text("24 pictures fitted. This made version 2, which is in service.")
    expect(last.get_by_role("cell", name=f"lot 1/{HOSTILE}.png")).to_be_visible()
    expect(last.get_by_role("cell", name="not an image")).to_be_visible()
    assert window.flaws() == []
    images = server.client.get("/v1/detectors/lids/versions/2/images").json()["images"]
    assert {each["group"] for each in images} == {"lot 1", "lot 2"}
    last.get_by_role("button", name="Next: calibrate").click()
    expect(calibrate.get_by_role("heading", name="Calibrate")).to_be_focused()


def test_calibrate_extend_and_again(
    window: Window, server: Server, folder: Callable[..., Path]
) -> None:
    """Contract: the API's promise and report in words; what is stale has a way out."""
    page = window.page
    fitted(server, "caps")
    where = folder(*good(1000, 20, "monday/"), *good(1500, 20, f"{HOSTILE[:8]}/"))
    odd = [{"name": n, "mimeType": t, "buffer": b} for n, b, t in defective(2000, 4)]
    window.open("/detectors/caps/learn")
    calibrate = step(window, "Calibrate")
    choose(calibrate, "Choose a folder", where)
    calibrate.get_by_text("Known defects, groups").click()
    choose(calibrate, "Choose files", odd, at=1)
    calibrate.get_by_label("False alarms aimed at, in %").fill("10")
    calibrate.get_by_label("A band of uncertain pictures").check()
    calibrate.get_by_label("Uncertain from, in %").fill("20")
    assert window.flaws() == []
    calibrate.get_by_role("button", name="Calibrate", exact=True).click()
    last = step(window, "Last job")
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
    assert window.flaws() == []

    choose(
        step(window, "Fit"),
        "Choose files",
        [folder(*good(3000, 3)) / f"{at}.png" for at in range(3000, 3003)],
    )
    step(window, "Fit").get_by_role("button", name="Fit", exact=True).click()
    assert window.flaws() == []
    agree(window, "Extend", "three more")
    expect(last).to_contain_text("3 pictures fitted. It now knows 33 in all.")
    assert latest(server, "caps")["reason"] == "three more"
    assert told(server, "caps")["in_service"] == 3
    expect(page.get_by_text("Version 3 is in service; the latest is version 4")).to_be_visible()
    assert window.flaws() == []
    calibrate.get_by_role("button", name="Calibrate again with the same pictures").click()
    agree(window, "Calibrate again", "after three more")
    expect(last).to_contain_text("This made version 5, which is in service.")
    assert latest(server, "caps")["reason"] == "after three more"


def test_a_running_job_is_found_again_and_cancelled(window: Window, server: Server) -> None:
    """Contract: whoever comes back sees how far it is; cancelled, nothing has changed."""
    page = window.page
    server.client.post(
        "/v1/detectors", json={"name": "slow", "image_size": 512, "options": {"flips": True}}
    )
    files = [("images", each) for each in good(0, 60)]
    assert server.client.post("/v1/detectors/slow/fit", files=files).status_code == 202
    window.open("/detectors/slow/learn")
    job = step(window, "Job: Fit")
    expect(job.get_by_role("progressbar", name="Fit of slow")).to_be_visible()
    expect(job.get_by_text("running")).to_be_visible()
    expect(step(window, "Calibrate")).to_be_hidden()
    assert window.flaws() == []
    window.open("/jobs?detector=slow")
    expect(page.get_by_role("row", name="slow")).to_contain_text("running")
    window.open("/detectors/slow/learn")
    job.get_by_role("button", name="Cancel").click()
    agree(window, "Cancel the job", "not these")
    expect(step(window, "Last job")).to_contain_text("It was cancelled: nothing was changed.")
    expect(step(window, "Fit")).to_be_visible()
    assert told(server, "slow")["state"] == "created"


def test_a_lost_answer_makes_no_second_job(
    window: Window, server: Server, folder: Callable[..., Path]
) -> None:
    """Law: the same pictures sent again go under the same key; what was chosen is still there."""
    page = window.page
    window.expected = [GONE]
    server.client.post("/v1/detectors", json={"name": "twice", "image_size": 96})
    where = folder(*good(0, 3))
    window.open("/detectors/twice/learn")
    keys: list[str] = []

    def lose(route: Route, request: Request) -> None:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/fit?*", lose)
    choose(step(window, "Fit"), "Choose a folder", where)
    for _ in range(2):
        step(window, "Fit").get_by_role("button", name="Fit", exact=True).click()
        if len(keys) < 2:
            expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    expect(step(window, "Last job")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(server.client.get("/v1/jobs", params={"detector": "twice"}).json()["jobs"]) == 1


def test_what_is_too_much_is_said_before_it_is_sent(
    window: Window, server: Server, folder: Callable[..., Path]
) -> None:
    """Contract: with what to do instead, by the service's own limits."""
    server.client.post("/v1/detectors", json={"name": "much", "image_size": 96})
    where = folder(*good(0, 4), ("more.zip", b"PK", ""))

    def small(route: Route) -> None:
        answer = route.fetch()
        info = answer.json()
        info["limits"] |= {"max_job_images": 3, "max_upload_bytes": 1000}
        route.fulfill(response=answer, json=info)

    window.page.route("**/v1/info", small)
    window.open("/detectors/much/learn")
    fit = step(window, "Fit")
    choose(fit, "Choose a folder", where)
    for said in ("at most 3 pictures", "takes at most 1000 bytes", "An archive goes alone"):
        expect(fit.get_by_role("alert").filter(has_text=said)).to_be_visible()
    expect(fit.get_by_role("button", name="Fit", exact=True)).to_be_disabled()
    assert window.flaws() == []
    fit.get_by_role("button", name="Start again").click()
    fit.get_by_text("The pictures lie on the server").click()
    fit.get_by_label("Folder on the server").fill("/etc")
    window.expected = ["the server responded with a status of 403"]
    fit.get_by_role("button", name="Fit", exact=True).click()
    expect(window.page.get_by_text("import_roots")).to_be_visible()


def test_a_region_goes_with_the_pictures(
    window: Window, server: Server, folder: Callable[..., Path]
) -> None:
    """Contract: where the detector takes one with every request, it is drawn before they go."""
    server.client.post("/v1/detectors", json={"name": "loose", "image_size": 96, "mask": "request"})
    window.open("/detectors/loose/learn")
    fit = step(window, "Fit")
    choose(fit, "Choose a folder", folder(*good(0, 6)))
    expect(fit.get_by_text("Draw the region that counts")).to_be_visible()
    send = fit.get_by_role("button", name="Fit", exact=True)
    expect(send).to_be_disabled()
    for _ in range(3):
        fit.get_by_role("button", name="Add a corner").click()
    expect(fit.get_by_text("Draw the region that counts")).to_be_hidden()
    assert window.flaws() == []
    send.click()
    expect(step(window, "Last job")).to_contain_text("6 pictures fitted.")


def test_a_role_is_offered_what_it_may_do(window: Window, server: Server) -> None:
    """Contract: role fit fits, and is told who calibrates and nothing of deleting."""
    fitted(server, "pins")
    who = {"name": "somebody", "role": "fit", "is_open": True}
    window.page.route("**/v1/me", lambda route: route.fulfill(json=who))
    window.open("/detectors/pins/learn")
    expect(step(window, "Calibrate")).to_contain_text("takes a key of role admin")
    expect(step(window, "Calibrate").get_by_role("button")).to_have_count(0)
    expect(window.page.get_by_text("Delete this detector")).to_have_count(0)
    assert window.flaws() == []


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
    agree(window, "Delete it", "not used")
    expect(page.get_by_role("heading", name="Detectors", exact=True)).to_be_visible()
    assert server.client.get("/v1/detectors/old").status_code == 404
