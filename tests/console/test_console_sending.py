"""What is sent to be learned: once, no more than the service takes, with its region, to its end."""

from pathlib import Path

from brick_pictures import good, saved
from browsing import Window
from console_checks import answer_dialog, check, choose, region
from playwright.sync_api import Request, Route, expect
from real_server import Server

GONE = "net::ERR_FAILED"


def test_a_running_job_is_found_again_and_cancelled(window: Window, server: Server) -> None:
    """Contract: whoever comes back sees how far it is; cancelled, nothing has changed."""
    page = window.page
    server.client.post(
        "/v1/detectors", json={"name": "slow", "image_size": 512, "options": {"flips": True}}
    )
    files = [("images", each) for each in good(0, 60)]
    assert server.client.post("/v1/detectors/slow/fit", files=files).status_code == 202
    window.open("/detectors/slow/learn")
    job = region(window, "Job: Fit")
    expect(job.get_by_role("progressbar", name="Fit of slow")).to_be_visible()
    expect(job.get_by_text("running")).to_be_visible()
    expect(region(window, "Calibrate")).to_be_hidden()
    check(window)
    window.open("/jobs?detector=slow")
    expect(page.get_by_role("row", name="slow")).to_contain_text("running")
    window.open("/detectors/slow/learn")
    job.get_by_role("button", name="Cancel").click()
    answer_dialog(window, "Cancel the job", "not these")
    expect(region(window, "Last job")).to_contain_text("It was cancelled: nothing was changed.")
    expect(region(window, "Fit")).to_be_visible()
    assert server.client.get("/v1/detectors/slow").json()["state"] == "created"


def test_a_lost_answer_makes_no_second_job(window: Window, server: Server, tmp_path: Path) -> None:
    """Law: the same images sent again go under the same key; what was chosen is still there."""
    page = window.page
    window.expected = [GONE]
    server.client.post("/v1/detectors", json={"name": "twice", "image_size": 96})
    where = saved(tmp_path / "line", good(0, 3))
    window.open("/detectors/twice/learn")
    keys: list[str] = []

    def lose(route: Route, request: Request) -> None:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/fit?*", lose)
    choose(region(window, "Fit"), "Choose a folder", where)
    for _ in range(2):
        region(window, "Fit").get_by_role("button", name="Fit", exact=True).click()
        if len(keys) < 2:
            expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    expect(region(window, "Last job")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(server.client.get("/v1/jobs", params={"detector": "twice"}).json()["jobs"]) == 1


def test_what_is_too_much_is_said_before_it_is_sent(
    window: Window, server: Server, tmp_path: Path
) -> None:
    """Contract: with what to do instead, by the service's own limits."""
    server.client.post("/v1/detectors", json={"name": "much", "image_size": 96})
    where = saved(tmp_path / "line", [*good(0, 4), ("more.zip", b"PK", "")])

    def small(route: Route) -> None:
        answer = route.fetch()
        info = answer.json()
        info["limits"] |= {"max_job_images": 3, "max_upload_bytes": 1000}
        route.fulfill(response=answer, json=info)

    window.page.route("**/v1/info", small)
    window.open("/detectors/much/learn")
    fit = region(window, "Fit")
    choose(fit, "Choose a folder", where)
    for said in ("at most 3 images", "takes at most 1000 bytes", "An archive goes alone"):
        expect(fit.get_by_role("alert").filter(has_text=said)).to_be_visible()
    expect(fit.get_by_role("button", name="Fit", exact=True)).to_be_disabled()
    check(window)
    fit.get_by_role("button", name="Start again").click()
    fit.get_by_text("The images lie on the server").click()
    fit.get_by_label("Folder on the server").fill("/etc")
    window.expected = ["the server responded with a status of 403"]
    fit.get_by_role("button", name="Fit", exact=True).click()
    expect(window.page.get_by_text("no folder of the server may be imported")).to_be_visible()


def test_a_region_goes_with_the_images(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: where the detector takes one with every request, it is drawn before they go."""
    server.client.post("/v1/detectors", json={"name": "loose", "image_size": 96, "mask": "request"})
    window.open("/detectors/loose/learn")
    fit = region(window, "Fit")
    choose(fit, "Choose a folder", saved(tmp_path / "line", good(0, 6)))
    expect(fit.get_by_text("Draw the region that counts")).to_be_visible()
    send = fit.get_by_role("button", name="Fit", exact=True)
    expect(send).to_be_disabled()
    for _ in range(3):
        fit.get_by_role("button", name="Add a corner").click()
    expect(fit.get_by_text("Draw the region that counts")).to_be_hidden()
    check(window)
    send.click()
    expect(region(window, "Last job")).to_contain_text("6 images fitted.")
