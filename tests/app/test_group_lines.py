"""Lines by group, wherever a verdict is given: each image is judged by that of its own group."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create, followed, problem, put, send, strict, upload
from stub_backbone import stub_embedder
from typer.testing import CliRunner

from app.cli import cli
from detector.multiple_testing import benjamini_hochberg

TARGET = 0.1
PROBES = [picture(seed, odd) for seed, odd in enumerate(range(0, 60, 4), start=3000)]
GROUPS = ("calm", "loud", "", "never seen")


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A detector with a low line for one group and a high one for another."""
    with line(tmp_path_factory.mktemp("lines")) as running:
        create(running.client, NAME, scorer="fusion")
        assert running.verb("fit", range(40)).status_code == 200
        files = [("images", (f"calm/{seed}.bmp", picture(seed))) for seed in range(1000, 1030)]
        files += [("images", (f"loud/{seed}.bmp", picture(seed, 30))) for seed in range(1100, 1130)]
        query = {"group_from": "folder", "by_group": True, "target": TARGET}
        url = f"/v1/detectors/{NAME}/calibrate"
        posted = running.client.post(url, files=files, params=query)
        assert followed(running.client, posted).status_code == 200
        yield running


def scored(bolts: Line, group: str, **query: Any) -> list[dict[str, Any]]:
    return bolts.score(PROBES, group=group, **query)


def test_flag_p_value_and_batch_agree_in_every_group(bolts: Line) -> None:
    """Law: flagged is p <= target; what is judged together is judged by these p-values."""
    lines = bolts.get("/threshold")["by_group"]
    assert lines["calm"] < lines["loud"]
    flags = {}
    for group in GROUPS:
        results = scored(bolts, group, false_discovery_rate=0.3)
        for each in results:
            assert each["flagged"] == (each["p_value"] <= TARGET)
        p_values = np.array([each["p_value"] for each in results])
        together = benjamini_hochberg(p_values, 0.3)
        assert [each["discovery"] for each in results] == together.flagged.tolist()
        flags[group] = sum(each["flagged"] for each in results)
    assert flags["calm"] > flags["loud"] == flags[""] == flags["never seen"] > 0


@pytest.mark.parametrize("group", GROUPS)
def test_one_image_looked_at_is_judged_as_when_it_is_scored(bolts: Line, group: str) -> None:
    """Law: line, flag and p-value of the explanation are those of the score."""
    for probe, expected in zip(PROBES, scored(bolts, group), strict=True):
        told = strict(send(bolts.client, NAME, probe, verb="explain", group=group))["result"]
        for key in ("threshold", "flagged", "p_value", "verdict"):
            assert told[key] == expected[key]


def test_a_map_is_painted_on_the_scale_of_the_groups_line(bolts: Line) -> None:
    """Contract: with a lower line more of the same picture is odd."""
    answers = {
        group: send(bolts.client, NAME, PROBES[7], verb="map", group=group).content
        for group in GROUPS
    }
    assert answers["calm"] != answers["loud"]
    assert answers[""] == answers["never seen"]


@pytest.mark.parametrize("group", GROUPS)
def test_versions_are_compared_by_the_groups_line(bolts: Line, group: str) -> None:
    """Law: side by side each has the line that it has alone."""
    drawn = put(bolts.client, NAME, method="conformal", target=0.3, by_group=True)
    other = strict(drawn)["version"]
    first = other - 1
    told = strict(
        upload(bolts.client, NAME, "compare", PROBES, first=first, second=other, group=group)
    )
    for version, side in ((first, 0), (other, 1)):
        alone = scored(bolts, group, version=version)
        for pair, expected in zip(told["results"], alone, strict=True):
            assert pair[side]["threshold"] == expected["threshold"]
    assert bolts.client.post(f"/v1/detectors/{NAME}/rollback").status_code == 200


def test_a_preview_counts_every_image_above_its_own_line(bolts: Line) -> None:
    """Reference: counted here, from the scores of the calibration images."""
    wanted = {"method": "conformal", "target": TARGET, "by_group": True}
    url = f"/v1/detectors/{NAME}/threshold/preview"
    told = strict(bolts.client.post(url, json={"threshold": wanted}))
    lines, known = told["proposed"]["by_group"], bolts.service.catalogue.get(NAME).detector
    calibration = known.require_calibrated()
    above = [
        score > lines[group]
        for score, group in zip(calibration.scores, calibration.groups, strict=True)
    ]
    assert (told["in_sample"]["count"], told["in_sample"]["of"]) == (sum(above), 60)
    assert sum(above) > calibration.above(told["proposed"]["value"]).count


@pytest.mark.parametrize("verb", ["score", "explain", "map"])
def test_a_group_that_cannot_be_is_refused(bolts: Line, verb: str) -> None:
    """Contract: controls and lengths, wherever a group is said."""
    for group, kind in (("a\0b", "invalid-group"), ("x" * 1000, "invalid-request")):
        problem(send(bolts.client, NAME, PROBES[0], verb=verb, group=group), 422, kind)


def test_the_command_line_says_a_group(
    bolts: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: scores and maps are those of the API for the same group."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(bolts.service.settings.data_dir))
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: stub_embedder())
    (tmp_path / "probe.bmp").write_bytes(PROBES[7])
    monkeypatch.chdir(tmp_path)
    found = {}
    for group in ("calm", "loud"):
        more = ["--group", group]
        ended = CliRunner().invoke(cli, ["score", NAME, "probe.bmp", "--json", *more])
        assert ended.exit_code == 0, ended.output
        (told,) = json.loads(ended.stdout)["results"]
        expected = scored(bolts, group)[7]
        assert told["threshold"] == expected["threshold"]
        assert told["flagged"] == expected["flagged"]
        found[group] = told["flagged"]
        drawn = CliRunner().invoke(cli, ["map", NAME, "probe.bmp", "--out", "map.png", *more])
        assert drawn.exit_code == 0, drawn.output
        theirs = send(bolts.client, NAME, PROBES[7], verb="map", group=group).content
        assert Path("map.png").read_bytes() == theirs
    assert found == {"calm": True, "loud": False}
