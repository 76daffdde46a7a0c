"""Detectors of other samples than images: created, taught, inspected and followed in the pages."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brick_pictures import HOSTILE
from browsing import Window
from console_checks import check, choose, region
from kinds_windows import contents, drawn, inspect_odd, send
from playwright.sync_api import FilePayload, Route, expect
from real_server import Server

HERE = Path(__file__).parent
FITTED, HELD_OUT = 24, 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of all kinds, with a calibrated detector of some, named as they are."""
    command = [sys.executable, str(HERE / "kinds_console.py")]
    where = tmp_path_factory.mktemp("kinds") / "data"
    with Server(where, command=command).serving() as server:
        for kind in ("audio", "graph", "sequence"):
            made = server.client.post("/v1/detectors", json={"name": kind, "kind": kind})
            assert made.status_code == 201, made.text
            send(server, kind, "fit", FITTED)
            send(server, kind, "calibrate", HELD_OUT, seed=1, target=0.1)
        made = server.client.post("/v1/detectors", json={"name": "camera"})
        assert made.status_code == 201
        yield server


def test_a_detector_of_another_kind(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: created with its view; fitted and calibrated by its files, in its words."""
    page = window.page
    window.open("/new")
    name = page.get_by_label("Name", exact=True)
    name.fill("press")
    expect(
        page.get_by_text("Elsewhere cannot be chosen here: install gatewatch[elsewhere]")
    ).to_be_visible()
    kind = page.get_by_label("Kind of data")
    expect(kind.locator("option", has_text="elsewhere")).to_be_disabled()
    expect(page.get_by_text("What counts of an image")).to_be_visible()
    kind.select_option("audio")
    expect(page.get_by_label("Rate, Hz")).to_have_value("16000")
    expect(page.get_by_label("Loudness")).not_to_be_checked()
    kind.select_option("series")
    expect(page.get_by_text("What counts of an image")).to_be_hidden()
    expect(page.get_by_label("Rate, Hz")).to_have_count(0)
    page.get_by_text("More: how it judges").click()
    expect(page.get_by_label("Image size")).to_have_count(0)
    every = page.get_by_label("Every", exact=True)
    expect(every).to_have_value("1")
    every.fill("0")
    page.get_by_role("button", name="Create").click()
    window.expected = ["the server responded with a status of 4"]
    expect(page.get_by_text("every must be 1 to 1000 rows")).to_be_visible()
    check(window)
    every.fill("2")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="press: fit and calibrate")).to_be_visible()
    made = server.client.get("/v1/detectors/press").json()
    assert (made["kind"], made["view"], made["scorer"]) == ("series", {"every": 2}, "gaussian")

    line = tmp_path / "line"
    line.mkdir()
    for at, each in enumerate(contents("series", FITTED)):
        (line / f"{at:02}.CSV").write_bytes(each)
    (line / "lid.png").write_bytes(b"no series")
    fit = region(window, "Fit")
    expect(fit.get_by_text("Drop normal series here")).to_be_visible()
    choose(fit, "Choose a folder", line)
    expect(fit.get_by_text("1 file left out, being no series: line/lid.png")).to_be_visible()
    expect(fit.get_by_role("list", name="Series").get_by_role("listitem")).to_have_count(12)
    expect(fit.get_by_text("and 12 more")).to_be_visible()
    check(window)
    fit.get_by_role("button", name="Fit", exact=True).click()
    last = region(window, "Last job")
    expect(last).to_contain_text(f"{FITTED} series fitted.", timeout=90_000)
    calibrate = region(window, "Calibrate")
    held_out = [
        FilePayload(name=f"{at}.csv", mimeType="text/csv", buffer=each)
        for at, each in enumerate(contents("series", HELD_OUT, seed=1))
    ]
    choose(calibrate, "Choose files", held_out)
    calibrate.get_by_label("False alarms aimed at, in %").fill("10")
    calibrate.get_by_role("button", name="Calibrate", exact=True).click()
    expect(last).to_contain_text(f"{HELD_OUT} series drew the line", timeout=90_000)
    check(window)


def test_moments_are_a_curve(window: Window, server: Server) -> None:
    """Contract: highest where the service says; picture, parts and look-alikes are there."""
    made = server.client.post("/v1/detectors", json={"name": "series", "kind": "series"})
    assert made.status_code == 201
    send(server, "series", "fit", FITTED)
    window.open("/detectors/series/inspect")
    expect(window.page.get_by_text("series get a score, but no verdict")).to_be_visible()
    told = inspect_odd(window, "series")
    drawn(window, "series")
    (place,) = told["result"]["places"]
    at = int(np.argmax(place["shares"]))
    where = region(window, "Where: series")
    expect(where.get_by_role("img", name="Share of the score by row")).to_have_attribute(
        "aria-label",
        "Share of the score by row, from 0 to 159 rows; highest, "
        f"{place['shares'][at]:.3g}, at {place['axes'][0]['values'][at]:g} rows.",
    )
    top = where.get_by_role("list", name="What each row adds").get_by_role("listitem")
    expect(top.first).to_contain_text(f"Row {place['axes'][0]['values'][at]:g} rows")
    expect(window.page.get_by_role("img", name="Normal series")).to_have_count(3)
    expect(window.page.get_by_role("checkbox", name="Heatmap")).to_have_count(0)
    check(window)


def test_tokens_are_marked_in_their_text(window: Window) -> None:
    """Contract: those at the line and beyond, in their order, as text whatever they say."""
    told = inspect_odd(window, "sequence")["result"]
    drawn(window, "sequence")
    (place,) = told["places"]
    tokens, shares = place["axes"][0]["values"], np.array(place["shares"])
    ratio = shares * len(shares) / told["threshold"]
    marked = [token for token, each in zip(tokens, ratio, strict=True) if each >= 0.8]
    assert HOSTILE in marked
    where = region(window, "Where: tokens")
    expect(where.locator("mark")).to_have_text(marked)
    expect(where.locator(".marked-text")).to_have_text(" ".join(tokens))
    expect(where.locator(".mark-far").first).to_have_text(HOSTILE)
    assert window.page.locator("img[src='x']").count() == 0
    expect(window.page.get_by_text("the sequence is flagged")).to_be_visible()
    expect(window.page.get_by_text("1 sequence: 1 anomalous.")).to_be_visible()
    expect(window.page.get_by_text("None of the 20 calibration sequences")).to_be_visible()
    check(window)


def test_marks_begin_where_the_picture_is_painted(window: Window) -> None:
    """Contract: from 0.8 times the line, at it, and from 1.6 times; as the service paints."""
    window.open()
    marks = window.page.evaluate(
        """async () => {
          const { places } = await import("/console/js/pages/inspect/places.js");
          const axes = [{ name: "token", unit: "", values: ["a", "b", "c", "d", "e", "f"] }];
          const shares = [0.79, 0.8, 0.99, 1, 1.59, 1.6]; // times the line, as it is 1 a token
          const result = { score: 6.77, threshold: 6, places: [{ name: "tokens", axes, shares }] };
          const [card] = places(result, { one: "sequence" });
          return [...card.querySelectorAll("mark")].map((each) => each.className);
        }"""
    )
    assert marks == ["mark-near", "mark-near", "mark-at", "mark-at", "mark-far"]


def test_nodes_are_a_list(window: Window) -> None:
    """Contract: the oddest first; a graph has no order to write its nodes in."""
    told = inspect_odd(window, "graph")["result"]
    drawn(window, "graph")
    (place,) = told["places"]
    order = np.argsort(-np.array(place["shares"]), kind="stable")
    where = region(window, "Where: nodes")
    top = where.get_by_role("list", name="What each node adds").get_by_role("listitem")
    expect(top).to_have_count(min(8, int((np.array(place["shares"]) > 0).sum())))
    expect(top.first.locator(".bar-label")).to_have_text(place["axes"][0]["values"][order[0]])
    expect(where.locator(".marked-text")).to_have_count(0)
    check(window)


def test_sound_is_heard_and_drawn(window: Window) -> None:
    """Contract: the policy lets the user's own file play; what has two axes is in the picture."""
    inspect_odd(window, "audio")
    drawn(window, "clip")
    player = window.page.locator("audio")
    expect(player).to_have_js_property("readyState", 4)  # all of it could be read
    assert player.evaluate("audio => audio.duration") == pytest.approx(0.5, abs=0.01)
    expect(window.page.get_by_role("region", name="Where:")).to_have_count(0)
    check(window)
    window.page.get_by_role("button", name="Clear the list").click()
    expect(player).to_have_count(0)


def test_what_is_no_sample_has_its_reason(window: Window) -> None:
    """Contract: another file is left out by its ending; a lying one has the service's reason."""
    window.open("/detectors/audio/inspect")
    files = [
        FilePayload(name="lid.png", mimeType="image/png", buffer=b"no sound"),
        FilePayload(name="lying.WAV", mimeType="audio/wav", buffer=b"no sound"),
    ]
    window.page.locator("input[type=file]").first.set_input_files(files)
    expect(window.page.get_by_text("1 file left out, being no clip: lid.png.")).to_be_visible()
    expect(window.page.get_by_text("1 clip: 1 invalid.")).to_be_visible()
    expect(region(window, "Verdict")).to_contain_text("Invalid")
    check(window)


def test_a_file_and_its_text_are_one(window: Window, server: Server, tmp_path: Path) -> None:
    """Contract: fitted and inspected as two files of one name; the score is the pair's."""
    page = window.page
    made = server.client.post("/v1/detectors", json={"name": "pairs", "kind": "image_text"})
    assert made.status_code == 201

    def said(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["kinds"]["image_text"]["pairs"] = True
        route.fulfill(response=answer, json=body)

    page.route("**/v1/info", said)
    for at, each in enumerate(contents("image_text", FITTED)):
        pair = json.loads(each)
        (tmp_path / f"{at}.png").write_bytes(base64.b64decode(pair["image"]))
        (tmp_path / f"{at}.txt").write_text(pair["text"])
    window.open("/detectors/pairs/learn")
    fit = region(window, "Fit")
    choose(fit, "Choose a folder", tmp_path)
    fit.get_by_role("button", name="Fit", exact=True).click()
    last = region(window, "Last job")
    expect(last).to_contain_text(f"{FITTED} images with text fitted.", timeout=90_000)
    check(window)
    window.open("/detectors/pairs/inspect")
    page.locator("input[type=file]").first.set_input_files(
        [tmp_path / "3.txt", tmp_path / "3.png", tmp_path / "4.txt"]
    )
    page.get_by_role("heading", name="The most similar normal").wait_for()
    expect(page.get_by_text("2 images with text: 1 no verdict, 1 invalid.")).to_be_visible()
    expect(region(window, "Where: text")).to_be_visible()
    sent = contents("image_text", FITTED)[3]
    files = [("images", ("3.json", sent))]
    told = server.client.post("/v1/detectors/pairs/score", files=files).json()["results"][0]
    expect(
        page.get_by_role("button", name=f"3.png: no verdict, score {told['score']:.3g}")
    ).to_be_visible()
    check(window)


def test_its_kind_is_told(window: Window, server: Server) -> None:
    """Contract: where detectors are listed and at the head of each page, but for images."""
    window.open()
    cards = window.page.locator("main").get_by_role("listitem")
    audio = cards.filter(has=window.page.get_by_role("heading", name="audio", exact=True))
    expect(audio.locator(".badge").first).to_have_text("audio")
    camera = cards.filter(has=window.page.get_by_role("heading", name="camera", exact=True))
    expect(camera.locator(".badge").first).to_have_text("not fitted")
    check(window)
    for content in contents("audio", 3, seed=5):
        files = [("images", ("clip.wav", content))]
        assert server.client.post("/v1/detectors/audio/score", files=files).status_code == 200
    for page, heading in (("history", "History"), ("drift", "Drift"), ("threshold", "Threshold")):
        window.open(f"/detectors/audio/{page}")
        expect(window.page.get_by_role("heading", name=f"audio: {heading.lower()}")).to_be_visible()
        expect(window.page.locator(".head .badge").first).to_have_text("audio")
        expect(window.page.locator(".spinner, [aria-busy=true]")).to_have_count(0)
        window.page.wait_for_load_state("networkidle")
        check(window)
    window.open("/detectors/audio/history")
    window.page.get_by_role("link", name="clip.wav").first.click()
    expect(window.page.get_by_role("dialog", name="Scored image")).to_contain_text("clip.wav")


def test_words_and_files_of_kinds(window: Window) -> None:
    """Contract: plurals; what is a sample of a kind is no archive of samples."""
    window.open()
    told: Any = window.page.evaluate(
        """async () => {
          const { kindOf } = await import("/console/js/parts/kinds.js");
          const { sorted } = await import("/console/js/parts/files.js");
          const { counted } = await import("/console/js/format.js");
          const video = { sample: "video", suffixes: [".mp4", ".zip"] };
          const kind = kindOf("video", { kinds: { video } });
          const names = ["a.MP4", "b.zip", "c.tar", "d.png", ".DS_Store"];
          const files = names.map((name) => ({ file: new File(["x"], name), path: name }));
          const found = sorted(files, kind);
          const named = (each) => each.map(({ path }) => path);
          return {
            words: [[1, "image with text"], [2, "image with text"], [2, "series"]].map(
              (each) => counted(...each)),
            found: [named(found.images), named(found.archives), named(found.others)],
            kind: [kind.accept, kind.archives, kind.inWords],
          };
        }"""
    )
    assert told["words"] == ["1 image with text", "2 images with text", "2 series"]
    assert told["found"] == [["a.MP4", "b.zip"], ["c.tar"], ["d.png"]]
    accept, archives, words = told["kind"]
    assert (accept, archives) == (".mp4,.zip", [".tar", ".gz", ".tgz"])
    assert words == "files (.mp4, .zip), or one tar"
