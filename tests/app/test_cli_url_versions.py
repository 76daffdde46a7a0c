"""Detectors and versions by command, there and here: list, put in service, go back, delete."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_helpers import Sides, both_sides, folder_of
from history_helpers import picture
from real_server import Server

from gatewatch import Client

NAME = "bolts"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images: train, more, held-out."""
    contents = {f"train/{n}.bmp": picture(n) for n in range(40)}
    contents |= {f"more/{n}.bmp": picture(200 + n) for n in range(5)}
    contents |= {f"held-out/{n}.bmp": picture(1000 + n) for n in range(39)}
    return folder_of(tmp_path_factory.mktemp("folders"), contents)


@pytest.fixture
def sides(
    stub_server: Server, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sides]:
    """Both sides with versions 2, fitted; 3, calibrated and in service; 4, extended and stale."""
    monkeypatch.setenv("COLUMNS", "200")  # so that no row is broken
    with both_sides(stub_server, monkeypatch, data=tmp_path / "data", folder=folders) as sides:
        sides.both("fit", NAME, "train", "--image-size", "64")
        sides.both("calibrate", NAME, "held-out", "--reason", "as agreed")
        sides.both("fit", NAME, "more", "--extend")
        yield sides


def rows(table: str) -> list[list[str]]:
    """Return the cells of a table's rows."""
    lines = [line.strip()[1:-1] for line in table.splitlines() if "│" in line]
    return [[cell.strip() for cell in line.split("│")] for line in lines]


def in_service(sides: Sides) -> int:
    """Return the version that serves, on both sides."""
    told = json.loads(sides.both("detectors", "--json").stdout)
    (only,) = told["detectors"]
    return int(only["in_service"])


def test_detectors_are_listed(sides: Sides) -> None:
    """Contract: at their versions in service, as a table and as the API's JSON."""
    with Client(sides.url) as client:
        line = client.threshold(NAME).value
    (row,) = rows(sides.both("detectors").stdout)
    assert row == [NAME, "image", "calibrated", "3", "40", f"{line:.6g}", "no"]
    told = json.loads(sides.both("detectors", "--json").stdout)
    assert told["detectors"][0]["threshold"]["value"] == pytest.approx(line)
    sides.both("promote", NAME, "4", "--allow-stale")
    (row,) = rows(sides.both("detectors").stdout)
    assert (row[3], row[4], row[6]) == ("4", "45", "yes")


def test_refusals_are_in_words_of_either_side(sides: Sides) -> None:
    """Contract: the same ones, which send nobody of the command line to a route or a parameter."""
    for arguments, said in (
        (["promote", NAME, "2"], "calibrate version 2 first, as the base (--base 2), or go"),
        (["promote", NAME, "99"], "has no version 99: list its versions; the latest is 4"),
        (["rollback", "other"], "no detector 'other': list those there are, or create it first"),
        (["score", "no one", "train"], "no detector 'no one': list those there are, or create it"),
        (["forget", NAME, "--group", "x"], "the list of the version's images holds those it was"),
    ):
        told = sides.both(*arguments, exit_code=1).stderr
        assert said in told
        assert "/v1/" not in told
    sides.both("delete", NAME, "--yes")
    sides.both("create", NAME)
    told = sides.both("rollback", NAME, exit_code=1).stderr
    assert "no version to go back to: list its versions, and promote one" in told


def test_none_is_no_failure(sides: Sides) -> None:
    """Contract: an empty list."""
    sides.both("delete", NAME, "--yes")
    assert json.loads(sides.both("detectors", "--json").stdout) == {"detectors": []}
    assert rows(sides.both("detectors").stdout) == []


def test_versions_are_listed(sides: Sides) -> None:
    """Contract: oldest first, by what each came about and why; which one serves."""
    for side in (sides.local, sides.remote):
        found = rows(side("versions", NAME).stdout)
        assert [row[:4] for row in found] == [
            ["1", "-", "create", "0"],
            ["2", "1", "replace", "40"],
            ["3", "2", "calibrate", "40"],
            ["4", "3", "extend", "45"],
        ]
        assert [row[-1] for row in found] == ["", "", "in service", "tip"]
        assert [row[5] for row in found] == ["no", "no", "no", "yes"]
        assert found[2][-2] == "as agreed"
        told = json.loads(side("versions", NAME, "--json").stdout)
        assert [each["version"] for each in told["versions"]] == [1, 2, 3, 4]


def test_a_version_is_put_in_service_and_back(sides: Sides) -> None:
    """Contract: with the API's own conditions, and a reason for the audit."""
    stale = sides.both("promote", NAME, "4", exit_code=1)
    assert "stale" in stale.stderr
    assert in_service(sides) == 3
    told = sides.both("promote", NAME, "4", "--allow-stale", "--reason", "line 3 agreed")
    assert f"{NAME} version 4 is in service: 45 image(s) fitted" in told.stdout
    assert "stale" in told.stdout
    assert in_service(sides) == 4
    with Client(sides.url) as client:
        line = next(client.audit(order="newest", subject=NAME))
    assert line.action == "version.promote"
    assert (line.reason, line.after["in_service"]) == ("line 3 agreed", 4)
    assert "version 3 is in service" in sides.both("rollback", NAME, "--reason", "no").stdout
    assert in_service(sides) == 3
    assert "threshold" in sides.both("promote", NAME, "2", exit_code=1).stderr
    told = sides.both("promote", NAME, "2", "--allow-uncalibrated")
    assert "no threshold" in told.stdout
    sides.both("rollback", NAME)
    sides.both("rollback", NAME, exit_code=1)
    sides.both("rollback", NAME, "--allow-uncalibrated")
    assert in_service(sides) == 2


def test_a_change_builds_on_another_version(sides: Sides) -> None:
    """Contract: on that of --base, as a refusal to put version 2 in service advises."""
    told = sides.both("calibrate", NAME, "held-out", "--base", "2")
    assert f"{NAME} version 5 (in service)" in told.stdout
    told = sides.both("threshold", NAME, "--target", "0.1", "--base", "3")
    assert f"{NAME} version 6: threshold" in told.stdout
    with Client(sides.url) as client:
        digest = next(iter(client.fitted_images(NAME, 2))).sha256
    told = sides.both("forget", NAME, "--sha256", digest, "--base", "2")
    assert "39 fitted in all" in told.stdout
    told = sides.both("fit", NAME, "more", "--extend", "--base", "2")
    assert "45 fitted in all" in told.stdout
    told = sides.both("fit", NAME, "more", "--base", "3")
    assert "5 fitted in all" in told.stdout
    for side in (sides.local, sides.remote):
        found = rows(side("versions", NAME).stdout)
        assert [row[:3] for row in found[4:]] == [
            ["5", "2", "calibrate"],
            ["6", "3", "threshold"],
            ["7", "2", "forget"],
            ["8", "2", "extend"],
            ["9", "3", "replace"],
        ]


def test_a_base_that_cannot_be_is_refused(sides: Sides) -> None:
    """Contract: one that is not there, one for nothing to be made of, one at large."""
    refused = sides.both("calibrate", NAME, "held-out", "--base", "99", exit_code=1)
    assert "has no version 99" in refused.stderr
    sides.both("calibrate", NAME, "held-out", "--base", "0", exit_code=2)
    assert "new line" in sides.both("threshold", NAME, "--base", "3", exit_code=2).stderr
    refused = sides.both("fit", "bolst", "train", "--base", "1", exit_code=1)
    assert "no detector 'bolst'" in refused.stderr
    assert len(json.loads(sides.both("detectors", "--json").stdout)["detectors"]) == 1
    large = ("fit", NAME, "train", "--extend", "--base", "2", "--hold-out", "0.2")
    assert "at large" in sides.both(*large, exit_code=2).stderr


def test_a_detector_is_deleted_when_it_is_meant(sides: Sides) -> None:
    """Contract: nothing without --yes, at either side; then all of it, with a reason."""
    refused = sides.both("delete", NAME, exit_code=2)
    assert "--yes" in refused.stderr
    assert in_service(sides) == 3
    assert sides.both("delete", NAME, "--yes", "--reason", "gone").stdout == f"deleted {NAME}\n"
    sides.both("versions", NAME, exit_code=1)
    with Client(sides.url) as client:
        line = next(client.audit(order="newest", subject=NAME))
    assert (line.action, line.reason) == ("detector.delete", "gone")


FAILURES = [
    ("versions", "nobody"),
    ("promote", "nobody", "3"),
    ("promote", NAME, "9"),
    ("promote", NAME, "1"),
    ("rollback", "nobody"),
    ("delete", "nobody", "--yes"),
    ("delete", "../x", "--yes"),
]
USAGE = [("promote", NAME, "0"), ("promote", NAME, str(2**31)), ("promote", NAME)]


def test_what_cannot_be_done_is_said_alike(sides: Sides) -> None:
    """Contract: the same words and exit code, and no traceback; nothing is changed by it."""
    for arguments in (*FAILURES, *USAGE):
        ended = sides.both(*arguments, exit_code=2 if arguments in USAGE else 1)
        assert ended.stderr
        assert "Traceback" not in ended.output
    assert in_service(sides) == 3
