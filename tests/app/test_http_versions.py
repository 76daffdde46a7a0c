"""Versions over HTTP: what each change makes and tells, and which of them serves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line
from http_helpers import create, followed, problem, strict, upload
from version_helpers import ADDRESS, PROBES, digests, draw, forget, promote, scores, serving


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A service without detectors."""
    with line(tmp_path) as running:
        yield running


def six(bolts: Line) -> list[Any]:
    """Make versions 2 to 6, each by another kind of change; return the answers."""
    create(bolts.client, NAME, scorer="fusion")
    return [
        bolts.verb("fit", range(20), reason="first lot", group="lot 1"),
        bolts.verb("calibrate", range(1000, 1039), reason="held out", target=0.1),
        bolts.verb("fit", range(20, 26), mode="extend", reason="second lot"),
        forget(bolts, range(20, 23), reason="scratched"),
        draw(bolts, 7.5, reason="the night shift", base=5, allow_stale=True, promote="never"),
    ]


def test_every_change_makes_a_version_that_tells_its_lineage(bolts: Line) -> None:
    """Contract: parent, kind, parameters, images, who, when and why; the audit says the same."""
    assert [answer.status_code for answer in six(bolts)] == [200] * 5
    known = bolts.get("/versions")["versions"]
    assert [each["version"] for each in known] == [1, 2, 3, 4, 5, 6]
    assert [each["parent"] for each in known] == [None, 1, 2, 3, 4, 5]
    changes = ["create", "replace", "calibrate", "extend", "forget", "threshold"]
    assert [each["change"] for each in known] == changes
    why = ["", "first lot", "held out", "second lot", "scratched", "the night shift"]
    assert [each["reason"] for each in known] == why
    assert {each["who"] for each in known} == {"local"}
    assert [each["fitted_images"] for each in known] == [0, 20, 20, 26, 23, 23]
    assert [each["stale"] for each in known] == [False, False, False, True, True, True]
    moments = [each["created_at"] for each in known]
    assert moments == sorted(moments)
    assert known[2]["parameters"]["parameters"] == {"target": 0.1}
    assert known[4]["parameters"] == {"sha256": digests(range(20, 23)), "groups": []}
    assert known[5]["parameters"]["parameters"] == {"value": 7.5}

    fitted = [range(0), range(20), range(20), range(26), [*range(20), *range(23, 26)]]
    for version, seeds in enumerate([*fitted, fitted[-1]], start=1):
        images = bolts.get(f"/versions/{version}/images")["images"]
        assert [each["sha256"] for each in images] == digests(seeds)
        groups = [each["group"] for each in images]
        assert groups == ["lot 1" if seed < 20 else "" for seed in seeds]
        assert all(each["forgettable"] for each in images)
        detail = bolts.get(f"/versions/{version}")
        assert detail["lineage"] == known[version - 1]
        assert detail["detector"]["version"] == version

    lines = strict(bolts.client.get("/v1/audit", params={"subject": NAME}))["lines"]
    told = {each["after"]["version"]: each for each in lines if "version" in each["after"]}
    asked = {each["request_id"] for each in lines if each["action"].startswith("job.")}
    for each in known[1:]:
        audited = told[each["version"]]
        assert audited["action"] == f"version.{each['change']}"
        for key in ("who", "reason", "request_id"):
            assert audited[key] == each[key]
        assert audited["request_id"] in asked or each["change"] == "threshold"


def test_an_old_version_says_what_it_said(tmp_path: Path) -> None:
    """Law: bit for bit, after any later change, and after a restart."""
    said: dict[int, list[dict[str, Any]]] = {}
    with line(tmp_path) as bolts:
        create(bolts.client, NAME, scorer="fusion")
        for version, change in enumerate(
            (
                lambda: bolts.verb("fit", range(20)),
                lambda: bolts.verb("calibrate", range(1000, 1039)),
                lambda: bolts.verb("fit", range(20, 26), mode="extend", promote="always"),
                lambda: forget(bolts, range(5)),
                lambda: draw(bolts, 1.0, base=3),
                lambda: bolts.verb("fit", range(50, 60), mode="replace"),
            ),
            start=2,
        ):
            assert change().status_code == 200
            said[version] = scores(bolts, version)
        assert len({str(each) for each in said.values()}) == 6
        assert {version: scores(bolts, version) for version in said} == said
        problem(upload(bolts.client, NAME, "score", PROBES, version=1), 409, "not-fitted")
        problem(upload(bolts.client, NAME, "score", PROBES, version=8), 404, "unknown-version")
    with line(tmp_path) as again:
        assert {version: scores(again, version) for version in said} == said


def test_promotion_and_rollback_are_seen_by_the_next_score(bolts: Line) -> None:
    """Contract: what is promoted judges and is built on; a roll back is undone by another."""
    create(bolts.client, NAME)
    told = problem(bolts.client.post(f"{ADDRESS}/rollback"), 409, "no-previous-version")
    assert "promote" in told["detail"]
    bolts.verb("fit", range(20))
    for value in (1.0, 2.0):
        draw(bolts, value)
    assert serving(bolts) == (4, 4)
    assert strict(promote(bolts, 3, reason="too many misses"))["in_service"] == 3
    assert [each["threshold"] for each in bolts.score(PROBES[:1])] == [1.0]
    for expected, value in ((4, 2.0), (3, 1.0), (4, 2.0)):
        rolled = strict(bolts.client.post(f"{ADDRESS}/rollback"))
        assert (rolled["in_service"], rolled["tip"], rolled["version"]) == (expected,) * 3
        assert [each["threshold"] for each in bolts.score(PROBES[:1])] == [value]
    problem(promote(bolts, 2), 409, "not-calibrated")
    problem(promote(bolts, 1), 409, "not-fitted")
    promote(bolts, 2, allow_uncalibrated=True)
    bolts.verb("fit", range(20, 23), mode="extend")
    assert bolts.get("/versions/5")["lineage"]["parent"] == 2
    problem(promote(bolts, 99), 404, "unknown-version")
    lines = strict(bolts.client.get("/v1/audit", params={"subject": NAME}))["lines"]
    steps = [each for each in lines if each["action"] in ("version.promote", "version.rollback")]
    assert [each["after"]["in_service"] for each in steps] == [3, 4, 3, 4, 2]
    assert [each["before"]["in_service"] for each in steps] == [4, 3, 4, 3, 4]
    assert steps[0]["reason"] == "too many misses"


def test_a_stale_version_serves_only_knowingly(bolts: Line) -> None:
    """Contract: 409 says what to do; with allow_stale one goes on, and is told at each use."""
    bolts.fit(20)
    bolts.verb("fit", range(20, 26), mode="extend")
    assert serving(bolts) == (3, 4)
    told = problem(promote(bolts, 4), 409, "stale-calibration")
    assert "calibrate it again (recalibrate " in told["detail"]
    assert "with allow_stale (--allow-stale)" in told["detail"]
    assert serving(bolts) == (3, 4)
    assert strict(promote(bolts, 4, allow_stale=True))["in_service"] == 4
    problem(upload(bolts.client, NAME, "score", PROBES), 409, "stale-calibration")
    assert len(bolts.score(PROBES, allow_stale=True)) == len(PROBES)
    again = followed(bolts.client, bolts.client.post(f"{ADDRESS}/recalibrate"))
    assert again.status_code == 200, again.text
    assert serving(bolts) == (5, 5)
    assert len(bolts.score(PROBES)) == len(PROBES)


@pytest.mark.parametrize(
    ("promoting", "expected"),
    [("auto", [2, 3, 3, 3, 6]), ("always", [2, 3, 4, 5, 6]), ("never", [1, 1, 1, 1, 1])],
)
def test_what_goes_into_service(bolts: Line, promoting: str, expected: list[int]) -> None:
    """Contract: auto keeps a threshold that holds in service; always and never do as they say."""
    create(bolts.client, NAME, scorer="fusion")
    query = {"promote": promoting}
    served = []
    for change in (
        lambda: bolts.verb("fit", range(20), **query),
        lambda: bolts.verb("calibrate", range(1000, 1039), **query),
        lambda: bolts.verb("fit", range(20, 26), mode="extend", **query),
        lambda: forget(bolts, range(20, 23), **query),
        lambda: bolts.verb("calibrate", range(1000, 1039), **query),
    ):
        assert change().status_code == 200
        served.append(serving(bolts)[0])
    assert served == expected
    assert serving(bolts)[1] == 6
