"""The whole way in the browser: from an empty service to an alarm that was acknowledged."""

from pathlib import Path

from brick_pictures import defective, dimmed, good, saved, send
from browsing import Window
from console_checks import answer_dialog, choose
from playwright.sync_api import expect
from real_server import Server

NAME = "pavement"
COIN = 2003
"""Seed of an image with a foreign object that stands out."""


def test_from_nothing_to_an_acknowledged_alarm(
    window: Window, server: Server, tmp_path: Path
) -> None:
    """Contract: no step needs anything but the page; all of it is in the audit, with reasons."""
    page = window.page
    window.open()
    page.get_by_role("link", name="New detector").click()
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("heading", name=f"{NAME}: fit and calibrate")).to_be_visible()
    fit = page.get_by_role("region", name="Fit", exact=True)
    lots = [*good(0, 15, "lot 1/"), *good(100, 15, "lot 2/")]
    choose(fit, "Choose a folder", saved(tmp_path / "normal", lots))
    fit.get_by_role("button", name="Fit", exact=True).click()
    last = page.get_by_role("region", name="Last job")
    expect(last).to_contain_text("This made version 2, which is in service.", timeout=60_000)

    calibrate = page.get_by_role("region", name="Calibrate", exact=True)
    held_out = [*good(1000, 60, "lot 3/"), *good(1100, 60)]
    choose(calibrate, "Choose a folder", saved(tmp_path / "held-out", held_out))
    calibrate.get_by_role("button", name="Calibrate", exact=True).click()
    expect(last).to_contain_text("This made version 3, which is in service.", timeout=60_000)

    page.get_by_role("link", name="Threshold", exact=True).click()
    line = page.get_by_role("region", name="What the line would do")
    page.get_by_label("In %", exact=True).fill("2")
    expect(line).to_contain_text("at most 2 %")
    page.get_by_role("button", name="Apply this line").click()
    answer_dialog(window, "Apply", "too many stops")
    threshold = f"/v1/detectors/{NAME}/threshold"
    expect(page.get_by_text("version 4 in service").first).to_be_visible()
    assert server.client.get(threshold).json()["target"] == 0.02

    page.get_by_role("link", name="Inspect", exact=True).click()
    (coin,) = defective(COIN, 1)
    page.locator("input[type=file]").first.set_input_files(
        {"name": coin[0], "mimeType": coin[2], "buffer": coin[1]}
    )
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("Anomalous")
    expect(page.locator(".layers canvas")).to_be_visible()
    verdict.get_by_role("button", name="Confirmed anomaly").click()
    expect(verdict.get_by_role("listitem")).to_contain_text("Confirmed anomaly")

    page.get_by_role("link", name="Drift", exact=True).click()
    state = page.get_by_role("region", name="State")
    expect(state).to_be_visible()
    dark = dimmed(5000, 150)
    for start in range(0, len(dark), 25):  # the camera goes on, whatever people look at
        send(server, NAME, "score", dark[start : start + 25])
    expect(state).to_contain_text("Alarm", timeout=60_000)
    page.get_by_role("button", name="Acknowledge all").click()
    answer_dialog(window, "Acknowledge", "new lamp")
    expect(page.get_by_role("button", name="Acknowledge all")).to_have_count(0)

    page.get_by_role("link", name="Detectors", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text=NAME)).to_contain_text(
        "151", timeout=90_000
    )
    page.get_by_role("link", name="Audit", exact=True).click()
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="new lamp")).to_have_count(1)
    expect(rows.filter(has_text="too many stops")).to_have_count(1)
