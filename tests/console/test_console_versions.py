"""The Versions page: which serves, back and forth, a shadow beside it, and files to take away."""

from pathlib import Path
from typing import Any

import pytest
from brick_pictures import HOSTILE, fitted, good, send
from browsing import Window
from console_checks import answer_dialog, check, play
from playwright.sync_api import Locator, expect
from real_server import Server

NAME = "bricks"


@pytest.fixture(scope="module", autouse=True)
def learned(server: Server) -> None:
    """Created, fitted, calibrated, and a line of its own: versions 1 to 4, the last in service."""
    fitted(server, NAME)
    send(server, NAME, "calibrate", good(1000, 40), reason=HOSTILE)
    body = {"method": "conformal", "target": 0.2}
    assert server.client.put(f"/v1/detectors/{NAME}/threshold", json=body).status_code == 200


def detector(server: Server) -> Any:
    return server.client.get(f"/v1/detectors/{NAME}").json()


def entry(window: Window, number: int) -> Locator:
    """Return what the page has of a version."""
    heading = window.page.get_by_role("heading", name=f"Version {number}", exact=True)
    return window.page.get_by_role("listitem").filter(has=heading)


def serving(window: Window, number: int) -> Locator:
    """Return the mark of the version in service, where a version has it."""
    return entry(window, number).get_by_text("in service", exact=True)


def press(window: Window, number: int, name: str) -> None:
    entry(window, number).get_by_role("button", name=name).click()


def test_newest_first_with_how_each_came_about(window: Window, server: Server) -> None:
    """Contract: what is known of every version, reasons as text."""
    window.open(f"/detectors/{NAME}/versions")
    headings = window.page.get_by_role("region", name="All versions").get_by_role(
        "heading", level=3
    )
    expect(headings).to_have_text([f"Version {number}" for number in (4, 3, 2, 1)])
    expect(serving(window, 4)).to_be_visible()
    expect(entry(window, 4)).to_contain_text("Threshold set from version 3")
    expect(entry(window, 3)).to_contain_text(f"“{HOSTILE}”")
    expect(entry(window, 3)).to_contain_text("40 images")
    expect(entry(window, 1)).to_contain_text("not fitted")
    assert window.page.locator("img[src=x]").count() == 0
    for summary in window.page.locator("summary").all():
        summary.click()
    expect(entry(window, 4)).to_contain_text('{"target":0.2}')
    check(window)


def test_what_is_used_is_not_offered_for_deletion(window: Window) -> None:
    """Contract: nor is what serves offered to be put in service, nor what was never fitted."""
    window.open(f"/detectors/{NAME}/versions")
    offered = {
        number: entry(window, number).get_by_role("button").all_inner_texts()
        for number in range(1, 5)
    }
    assert offered == {
        1: [],
        2: ["Put in service", "Export"],
        3: ["Put in service", "Try as shadow", "Export"],
        4: ["Export"],
    }


def test_a_shadow_is_counted(window: Window, server: Server) -> None:
    """Contract: started, its counts as the API has them, stopped."""
    window.open(f"/detectors/{NAME}/versions")
    press(window, 3, "Try version 3 as shadow")
    answer_dialog(window, "Start the shadow", "is it better?")
    shadow = window.page.get_by_role("region", name="Shadow")
    expect(shadow).to_contain_text("No image has been judged by both yet")
    send(server, NAME, "score", good(3000, 8))
    window.page.reload()
    counted = server.client.get(f"/v1/detectors/{NAME}/shadow").json()
    assert counted["images"] == 8
    expect(shadow).to_contain_text("8 images judged by both")
    for part in ("agreed", "only_service", "only_shadow"):
        expect(shadow).to_contain_text(f"{counted[part]} ({100 * counted[part] / 8:.2g} %)")
    check(window)
    shadow.get_by_role("button", name="Stop the shadow").click()
    answer_dialog(window, "Stop the shadow")
    expect(shadow).to_have_count(0)
    assert detector(server)["shadow"] is None


def test_promoted_and_rolled_back(window: Window, server: Server) -> None:
    """Contract: with the reason in the audit; the marks follow."""
    window.open(f"/detectors/{NAME}/versions")
    press(window, 3, "Put version 3 in service")
    check(window)
    answer_dialog(window, "Cancel")
    assert detector(server)["in_service"] == 4
    press(window, 3, "Put version 3 in service")
    answer_dialog(window, "Put in service", "line 3 agreed")
    expect(serving(window, 3)).to_be_visible()
    assert detector(server)["in_service"] == 3
    lines = server.client.get("/v1/audit", params={"subject": NAME}).json()["lines"]
    assert (lines[-1]["action"], lines[-1]["reason"]) == ("version.promote", "line 3 agreed")
    window.page.get_by_role("button", name="Roll back").click()
    answer_dialog(window, "Roll back")
    expect(window.page.get_by_text("Version 4 is in service again.")).to_be_visible()
    expect(serving(window, 4)).to_be_visible()


def test_what_loses_the_threshold_is_asked_twice(window: Window, server: Server) -> None:
    """Contract: going on anyway is offered only after the service has said what it costs."""
    window.expected = ["the server responded with a status of 409"]
    window.open(f"/detectors/{NAME}/versions")
    press(window, 2, "Put version 2 in service")
    answer_dialog(window, "Put in service", "an experiment")
    expect(window.page.get_by_role("dialog")).to_contain_text(
        "Version 2 of 'bricks' has no threshold"
    )
    check(window)
    answer_dialog(window, "Cancel")
    assert detector(server)["in_service"] == 4
    press(window, 2, "Put version 2 in service")
    answer_dialog(window, "Put in service", "an experiment")
    answer_dialog(window, "Go on anyway")
    expect(serving(window, 2)).to_be_visible()
    lines = server.client.get("/v1/audit", params={"subject": NAME}).json()["lines"]
    assert lines[-1]["reason"] == "an experiment"
    press(window, 4, "Delete version 4")
    answer_dialog(window, "Delete")
    expect(entry(window, 4)).to_have_count(0)
    press(window, 3, "Put version 3 in service")
    answer_dialog(window, "Put in service")
    expect(serving(window, 3)).to_be_visible()


def test_compared_on_images(window: Window) -> None:
    """Contract: both verdicts side by side, names as text."""
    window.open(f"/detectors/{NAME}/versions")
    window.page.get_by_text("Compare two versions on images").click()
    window.page.get_by_label("Second").select_option("2")
    images = [
        {"name": name or HOSTILE, "mimeType": kind, "buffer": content}
        for name, content, kind in [("", *good(3000, 1)[0][1:]), *good(3001, 2)]
    ]
    window.page.locator("input[type=file][multiple]").set_input_files(images)  # type: ignore[arg-type]
    expect(window.page.get_by_text("Of 3 images that both could score")).to_be_visible()
    table = window.page.get_by_role("table", name="Image by image")
    expect(table.get_by_role("row")).to_have_count(4)
    expect(table).to_contain_text(HOSTILE)
    check(window)


def test_exported_and_imported(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: the file that the page saves makes a detector of the same scores elsewhere."""
    window.expected = ["the server responded with a status of 422"]
    page = window.page
    window.open(f"/detectors/{NAME}/versions")
    press(window, 3, "Export version 3")
    with page.expect_download() as waited:
        answer_dialog(window, "Export", "to the other plant")
    saved = tmp_path / waited.value.suggested_filename
    waited.value.save_as(saved)
    assert saved.name == f"{NAME}-v3.gatewatch"
    page.get_by_text("Import a detector").click()
    damaged = tmp_path / "damaged.gatewatch"
    damaged.write_bytes(saved.read_bytes()[:-100])
    page.get_by_label("File").set_input_files(damaged)
    page.get_by_role("button", name="Import").click()
    expect(page.locator("main .box.bad")).to_be_visible()
    check(window)
    page.get_by_label("File").set_input_files(saved)
    page.get_by_label("Name of the new detector").fill("elsewhere")
    page.get_by_role("button", name="Import").click()
    page.get_by_role("link", name="To elsewhere").click()
    expect(page.get_by_role("heading", name="elsewhere: versions")).to_be_visible()
    expect(page.get_by_text("Imported")).to_be_visible()
    content = good(4000, 1)[0][1]
    assert server.score("elsewhere", content)["score"] == pytest.approx(
        server.score(NAME, content)["score"], rel=1e-6
    )


@pytest.mark.parametrize(("role", "left"), [("score", set[str]()), ("fit", {"Export"})])
def test_who_may_not_is_not_asked(window: Window, role: str, left: set[str]) -> None:
    """Contract: versions are everybody's to see, and an admin's to change."""
    play(window, role)
    window.open(f"/detectors/{NAME}/versions")
    everything = window.page.get_by_role("region", name="All versions")
    assert set(everything.get_by_role("button").all_inner_texts()) == left
    expect(window.page.get_by_text("Import a detector")).to_have_count(0)
