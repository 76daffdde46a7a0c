"""Calibrating again from rows: the same line unless told, and no image counts twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create, followed, problem, strict, upload
from sqlalchemy import update
from storage_helpers import BY
from work_helpers import Pictures

from app.learning import calibrating
from app.learning.order import Order
from app.lines import Line as Wanted
from app.storage.tables import VERSION_IMAGES
from detector.errors import MissingAnomaliesError

DUPLICATE = "urn:gatewatch:problem:duplicate-image"


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    with line(tmp_path) as running:
        create(running.client, NAME, scorer="fusion")
        assert running.verb("fit", range(40)).status_code == 200
        yield running


def calibrate(bolts: Line, lots: dict[str, range], **query: Any) -> dict[str, Any]:
    """Calibrate with pictures of some groups; return the job's result."""
    named = {f"{lot}/{seed}.bmp": picture(seed) for lot, seeds in lots.items() for seed in seeds}
    files = [("images", item) for item in named.items()]
    url = f"/v1/detectors/{NAME}/calibrate"
    query = {"group_from": "folder"} | query
    return done(bolts, bolts.client.post(url, files=files, params=query))


def recalibrate(bolts: Line, **query: Any) -> dict[str, Any]:
    """Calibrate again from rows; return the job's result."""
    url = f"/v1/detectors/{NAME}/recalibrate"
    return done(bolts, bolts.client.post(url, params=query))


def done(bolts: Line, posted: Any) -> dict[str, Any]:
    ended = followed(bolts.client, posted)
    assert ended.status_code == 200, ended.text
    return dict(strict(ended))


WAYS: list[dict[str, Any]] = [
    {"target": 0.1, "review_target": 0.3},
    {"target": 0.2, "delta": 0.1},
    {"target": 0.1, "by_group": True},
    {"method": "quantile", "target": 0.1, "by_group": True},
    {"method": "ksigma", "k": 2.5},
]


@pytest.mark.parametrize("way", WAYS)
def test_without_parameters_the_line_is_drawn_as_before(bolts: Line, way: dict[str, Any]) -> None:
    """Law: of the same fit it is the same line, to the last group and band; of another its kind."""
    first = calibrate(bolts, {"a": range(1000, 1025), "b": range(1100, 1125)}, **way)["threshold"]
    again = recalibrate(bolts)
    drawn = again["threshold"]
    assert drawn == first | {"version": first["version"] + 1}
    assert (drawn["review_target"], bool(drawn["by_group"])) == (
        way.get("review_target"),
        way.get("by_group", False),
    )
    lineage = bolts.get("/versions")["versions"][-1]["parameters"]
    assert lineage["method"] == first["method"]
    assert lineage["parameters"] == first["parameters"]

    assert bolts.verb("fit", range(300, 320), mode="extend").status_code == 200
    moved = recalibrate(bolts)["threshold"]
    assert (moved["method"], moved["parameters"]) == (first["method"], first["parameters"])
    assert moved["by_group"].keys() == first["by_group"].keys()
    assert (moved["review"] is None) == (first["review"] is None)
    assert moved["value"] != pytest.approx(first["value"], rel=1e-6)


def test_what_is_asked_for_is_drawn_instead(bolts: Line) -> None:
    """Contract: with any parameter nothing is taken from the line before."""
    calibrate(bolts, {"a": range(1000, 1040)}, target=0.1, review_target=0.3)
    drawn = recalibrate(bolts, target=0.2)["threshold"]
    assert (drawn["method"], drawn["target"], drawn["review"]) == ("conformal", 0.2, None)


def test_a_line_by_hand_stays_and_is_warned_of(bolts: Line) -> None:
    """Contract: the same value, of which other scores know nothing."""
    calibrate(bolts, {"a": range(1000, 1020)}, method="manual", value=7.5)
    assert bolts.verb("fit", range(300, 320), mode="extend").status_code == 200
    again = recalibrate(bolts)
    assert (again["threshold"]["method"], again["threshold"]["value"]) == ("manual", 7.5)
    assert not again["threshold"]["stale"]
    (warning,) = again["warnings"]
    assert "set by hand and stays at 7.5" in warning
    assert recalibrate(bolts, method="manual", value=8.0)["warnings"] == []  # that was asked for


def test_rows_that_are_kept_of_some_images_only_are_refused(bolts: Line) -> None:
    """Contract: 409 with what to do, as without any."""
    calibrate(bolts, {"a": range(1000, 1070)})
    column = VERSION_IMAGES.c
    gone = update(VERSION_IMAGES).where(column.role == "calibrate", column.place == 68)
    with bolts.service.storage.database.write() as connection:
        assert connection.execute(gone.values(rows_blob="", row=0)).rowcount == 1
    posted = bolts.client.post(f"/v1/detectors/{NAME}/recalibrate")
    refused = problem(followed(bolts.client, posted), 409, "rows-not-kept")
    assert "send images" in refused["detail"]


def test_copies_of_an_image_do_not_reach_a_target(bolts: Line) -> None:
    """Contract: ten files ten times are ten images, too few for 1 %."""
    contents = [picture(seed) for seed in range(1000, 1010)] * 10
    refused = upload(bolts.client, NAME, "calibrate", contents, target=0.01)
    told = problem(refused, 422, "insufficient-calibration")
    assert "needs at least 99 calibration images, there are 10" in told["detail"]


def test_copies_are_left_out_by_role_and_stay_out(bolts: Line) -> None:
    """Law: the line is that without copies, now and from rows; each is named with its problem."""
    seeds = [*range(1000, 1070), 1069, 1000, 1001]  # in another file of rows, and in the same one
    files = [("images", (f"{at}.bmp", picture(seed))) for at, seed in enumerate(seeds)]
    odd = [1, 2, 2, 3, 1]
    files += [("anomalies", (f"odd-{at}.bmp", picture(seed, 60))) for at, seed in enumerate(odd)]
    url = f"/v1/detectors/{NAME}/calibrate"
    first = done(bolts, bolts.client.post(url, files=files, params={"target": 0.1}))
    once = calibrate(bolts, {"": range(1000, 1070)}, target=0.1, base=2)
    again = recalibrate(bolts, base=first["detector"]["version"])
    left_out = ["70.bmp", "71.bmp", "72.bmp", "odd-2.bmp", "odd-4.bmp"]
    for told in (first, again):
        assert sorted(each["name"] for each in told["rejected"]) == left_out
        assert {each["problem"]["type"] for each in told["rejected"]} == {DUPLICATE}
        assert told["calibrated"] == 70 + 3
        assert told["detector"]["known_anomalies"] == 3
        assert told["threshold"]["calibration_images"] == 70
        assert told["threshold"]["value"] == pytest.approx(once["threshold"]["value"], rel=1e-9)


def test_copies_stay_out_of_a_run_that_is_taken_up_again(bolts: Line) -> None:
    """Law: from rows that were kept the result is that of a run in one go."""
    images = Pictures([*range(1000, 1070), 1003, *range(1080, 1090), 1085])

    def run(name: str, line: Wanted) -> Any:
        order = Order(BY, name, base=2)
        return bolts.call(calibrating.calibrate, bolts.service, NAME, images, order, line)

    with pytest.raises(MissingAnomaliesError):  # it ends after all rows were kept
        run("again", Wanted("f1", {}))
    assert (
        len(bolts.service.chunks.of_run(bolts.service.catalogue.get(NAME).entry.id, "again")) == 2
    )
    again, whole = run("again", Wanted()), run("whole", Wanted())
    assert (again.used, again.rejected) == (whole.used, whole.rejected)
    assert [each.name for each in again.rejected] == ["1003.bmp", "1085.bmp"]
    assert again.used == 80
    line, same = (each.stored.detector.require_threshold() for each in (again, whole))
    assert line == same
