"""What a calibration tells of groups: the false alarms of a group that was never seen."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create, followed, strict

from app.learning import leaving_out
from detector import conformal

Lots = Mapping[str, Iterable[bytes]]
TARGET = 0.05


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    with line(tmp_path) as running:
        yield running


def lot(start: int, count: int, odd: int = 0) -> list[bytes]:
    """Return pictures of one lot."""
    return [picture(seed, odd) for seed in range(start, start + count)]


ALIKE = {name: lot(100 * n, 12) for n, name in enumerate("abcd")}
HELD_OUT = {name: lot(1000 + 100 * n, 10) for n, name in enumerate("abcd")}
ODD = {"d": lot(5000, 12, 60)}
ODD_HELD_OUT = {"d": lot(6000, 10, 60)}


def send(bolts: Line, verb: str, lots: Lots, name: str = NAME, **query: Any) -> dict[str, Any]:
    """Send pictures in groups, mixed; return the job's result."""
    mixed = [(group, content) for group, contents in lots.items() for content in contents]
    mixed = [mixed[place] for place in np.random.default_rng(0).permutation(len(mixed))]
    files: list[Any] = [
        ("images", (f"{place}.bmp", content)) for place, (_, content) in enumerate(mixed)
    ]
    groups = {f"{place}.bmp": group for place, (group, _) in enumerate(mixed) if group}
    files.append(("groups", (None, json.dumps(groups))))
    address = f"/v1/detectors/{name}/{verb}"
    ended = followed(bolts.client, bolts.client.post(address, files=files, params=query))
    assert ended.status_code == 200, ended.text
    return dict(strict(ended))


def report(bolts: Line, fitted: Lots, held_out: Lots, **spec: Any) -> dict[str, Any]:
    """Fit and calibrate; return what the calibration says."""
    create(bolts.client, NAME, **{"scorer": "gaussian", **spec})
    send(bolts, "fit", fitted)
    return send(bolts, "calibrate", held_out, target=TARGET)


@pytest.mark.parametrize("recalled", [False, True])
def test_each_group_is_judged_by_a_detector_that_never_saw_it(bolts: Line, recalled: bool) -> None:
    """Reference: detectors fitted to the other groups alone, and NumPy's ranks of their scores;
    with images that are sent, and with those of the last calibration."""
    told = report(bolts, ALIKE | ODD, HELD_OUT | ODD_HELD_OUT)
    if recalled:
        again = bolts.client.post(f"/v1/detectors/{NAME}/recalibrate", params={"target": TARGET})
        told = strict(followed(bolts.client, again))
    groups = told["groups"]
    assert groups["refitted"]
    assert [each["group"] for each in groups["groups"]] == list("abcd")
    known = HELD_OUT | ODD_HELD_OUT
    flagged = 0
    for each in groups["groups"]:
        own, name = each["group"], f"without-{each['group']}"
        create(bolts.client, name, scorer="gaussian")
        others = {group: lots for group, lots in (ALIKE | ODD).items() if group != own}
        send(bolts, "fit", others, name)
        scores = {group: scored(bolts, name, contents) for group, contents in known.items()}
        rest = np.sort(np.concatenate([scores[group] for group in scores if group != own]))
        value = rest[int(np.ceil((len(rest) + 1) * (1 - TARGET))) - 1]
        assert each["threshold"] == pytest.approx(value, rel=1e-5)
        count = int(np.sum(scores[own] > value))
        assert each["held_out"]["count"] == count
        assert each["held_out"]["of"] == 10
        flagged += count
    assert (groups["held_out"]["count"], groups["held_out"]["of"]) == (flagged, 40)


def scored(bolts: Line, name: str, contents: Iterable[bytes]) -> np.ndarray:
    """Return the scores of pictures by a detector."""
    files = [("images", ("x.bmp", content)) for content in contents]
    answer = bolts.client.post(f"/v1/detectors/{name}/score", files=files)
    return np.array([each["score"] for each in strict(answer)["results"]])


def test_a_group_unlike_the_others_is_warned_of(bolts: Line) -> None:
    """Contract: in-sample its line hides what it would do as a new group; the warning names it."""
    told = report(bolts, ALIKE | ODD, HELD_OUT | ODD_HELD_OUT)
    groups = told["groups"]
    in_sample, held_out = groups["in_sample"], groups["held_out"]
    assert in_sample["count"] <= 40 + 1 - conformal.rank(40, TARGET)
    assert held_out["count"] >= 10
    odd = groups["groups"][3]
    assert (odd["group"], odd["held_out"]["count"]) == ("d", 10)
    assert odd["in_sample"]["count"] <= 2
    assert odd["p_value"] < 1e-6
    (warning,) = told["warnings"]
    assert "'d' (10 of 10 flagged)" in warning
    assert "more false alarms of a new group" in warning


def test_groups_that_are_alike_are_not_warned_of(bolts: Line) -> None:
    """Contract: the report is there, beside the in-sample figure, without a warning."""
    told = report(bolts, ALIKE, HELD_OUT)
    assert told["groups"]["refitted"]
    assert told["groups"]["target"] == TARGET
    assert told["warnings"] == []


@pytest.mark.parametrize("lots", [{"": 40}, {"a": 40}, {"a": 20, "": 20}])
def test_without_groups_there_is_no_report(bolts: Line, lots: dict[str, int]) -> None:
    """Contract: none, and no warning: there is nothing to leave out."""
    pictures = {group: lot(1000 + len(group) * 500, count) for group, count in lots.items()}
    told = report(bolts, ALIKE, pictures)
    assert (told["groups"], told["warnings"]) == (None, [])


def test_a_line_without_a_target_has_no_report(bolts: Line) -> None:
    """Contract: a line by hand promises no rate that a group could miss."""
    create(bolts.client, NAME)
    send(bolts, "fit", ALIKE)
    told = send(bolts, "calibrate", HELD_OUT, method="manual", value=3.0)
    assert (told["groups"], told["warnings"]) == (None, [])


def test_too_few_others_are_told(bolts: Line) -> None:
    """Contract: the calibration is made; the warning says for which group it cannot be told."""
    told = report(bolts, ALIKE, {"a": lot(1000, 12), "b": lot(1100, 10)})
    assert told["groups"] is None
    (warning,) = told["warnings"]
    assert "without group 'a'" in warning
    assert told["calibrated"] == 22


FLATTERS = "of the choice of the line alone, not of the fit, which may flatter"


def only_the_line(told: dict[str, Any], why: str) -> None:
    """Check that a report says that groups were left out of the line alone, and why."""
    assert not told["groups"]["refitted"]
    assert [each["group"] for each in told["groups"]["groups"]] == list("abcd")
    (warning,) = told["warnings"]
    assert FLATTERS in warning
    assert why in warning


def test_rows_that_were_not_kept_are_told_of(tmp_path: Path) -> None:
    """Contract: the line is chosen without each group all the same; it says what it is not."""
    with line(tmp_path, keep_fitted_rows=False) as bolts:
        only_the_line(report(bolts, ALIKE, HELD_OUT), "GATEWATCH_KEEP_FITTED_ROWS")


def test_many_groups_are_not_refitted(bolts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: beyond a number of groups only the line is chosen without each, and it says so."""
    monkeypatch.setattr(leaving_out, "MOST_REFITTED", 3)
    only_the_line(report(bolts, ALIKE, HELD_OUT), "at most 3 are refitted")


def test_a_group_that_is_all_of_the_fit_stays_in_it(bolts: Line) -> None:
    """Contract: without it nothing would be fitted; it says so."""
    told = report(bolts, {"a": ALIKE["a"]}, HELD_OUT)
    only_the_line(told, "all fitted images are of group 'a'")


def test_what_is_left_may_define_no_distance(bolts: Line) -> None:
    """Contract: the calibration is made nevertheless, and says why the groups stayed in the fit."""
    told = report(bolts, {"a": ALIKE["a"], "b": ALIKE["b"][:1]}, HELD_OUT)
    only_the_line(told, "without one of them")
    assert told["calibrated"] == 40


def test_groups_that_were_not_fitted_need_no_refit(bolts: Line) -> None:
    """Contract: fitted without groups, the report is on the line alone, and flatters nobody."""
    told = report(bolts, {"": ALIKE["a"]}, HELD_OUT | ODD_HELD_OUT)
    assert not told["groups"]["refitted"]
    (warning,) = told["warnings"]
    assert FLATTERS not in warning
    assert "'d' (10 of 10 flagged)" in warning
