"""A detector that moves: it says the same there, and goes on learning there."""

from pathlib import Path
from typing import Any

import pytest
from http_helpers import info, problem, strict
from moving_helpers import NAME, Site, manifest_of, members, picture, site

from app.moving.bundle import MANIFEST
from detector.row_file import read_rows


def _images(where: Site, name: str = NAME) -> list[dict[str, Any]]:
    number = info(where.client, name)["version"]
    url = f"/v1/detectors/{name}/versions/{number}/images"
    return list(strict(where.client.get(url))["images"])


def test_it_says_the_same_there(home: Site, away: Site, bundle: bytes) -> None:
    """Law: scores, verdicts, p-values and thresholds to the last bit."""
    answer = away.bring(bundle)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/detectors/{NAME}"
    assert away.scores() == home.scores()
    assert len({result["verdict"] for result in away.scores()}) > 1


def test_it_is_the_same_there(home: Site, away: Site, bundle: bytes) -> None:
    """Contract: all but number and times; version 1 tells where it came from."""
    said = away.bring(bundle).json()
    assert said["rows_kept"] is True
    assert 0 <= said["worst_difference"] < 1e-6
    varying = {"version", "in_service", "tip", "created_at", "updated_at", "threshold"}
    here, there = info(home.client, NAME), info(away.client, NAME)
    assert {key: there[key] for key in there.keys() - varying} == {
        key: here[key] for key in here.keys() - varying
    }
    assert (there["version"], there["in_service"], there["tip"]) == (1, 1, 1)
    assert there["threshold"] == here["threshold"] | {"version": 1}
    (only,) = strict(away.client.get(f"/v1/detectors/{NAME}/versions"))["versions"]
    assert (only["change"], only["parent"]) == ("import", None)
    told = only["parameters"]["from"]
    assert (told["name"], told["version"]) == (NAME, 4)
    assert [each["change"] for each in told["lineage"]] == [
        "create",
        "replace",
        "extend",
        "calibrate",
    ]
    assert _images(away) == _images(home)


def test_what_moved_can_move_again(away: Site, tmp_path: Path, bundle: bytes) -> None:
    """Law: the second bundle holds the moments, the decision and the rows of the first."""
    assert away.bring(bundle).status_code == 201
    again = members(away.export(rows=True))
    first = members(bundle)
    assert again.keys() == first.keys()
    differing = {name for name in first if first[name] != again[name]}
    assert differing <= {MANIFEST}


def test_it_forgets_there_as_here(away: Site, tmp_path: Path, bundle: bytes) -> None:
    """Law: rows that came along take their images out of the moments, exactly."""
    assert away.bring(bundle).status_code == 201
    with site(tmp_path / "home") as home:
        home.learn()
        for where in (home, away):
            forgotten = where.client.post(
                f"/v1/detectors/{NAME}/forget", json={"groups": ["monday"]}
            )
            job = where.ended(forgotten)
            assert (job["state"], job["result"]["forgotten"]) == ("succeeded", 20)
        tip = {where: info(where.client, NAME)["tip"] for where in (home, away)}
        theirs = home.scores(version=tip[home], allow_stale=True)
        assert away.scores(version=tip[away], allow_stale=True) == theirs
        # And what was forgotten does not leave the house again.
        left = home.export(version=tip[home], rows=True)
        kept = members(left)
        assert "monday" not in kept["images.json"].decode()
        rows = [read_rows(kept[name])[0] for name in kept if name.startswith("rows/")]
        assert sum(len(each) for each in rows if each is not None) == 20 + 39 + 3


def test_it_is_calibrated_again_there_from_its_rows(home: Site, away: Site, bundle: bytes) -> None:
    """Law: rows of the calibration came along, and those of known anomalies."""
    assert away.bring(bundle).status_code == 201
    answer = away.client.post(f"/v1/detectors/{NAME}/recalibrate", params={"method": "f1"})
    job = away.ended(answer)
    assert job["state"] == "succeeded", job
    assert job["result"]["detector"]["known_anomalies"] == 3
    assert info(away.client, NAME)["calibration_images"] == 39
    expected = home.service.catalogue.get(NAME).detector.decide("f1", {}).require_threshold()
    assert job["result"]["threshold"]["value"] == expected.value


def test_without_rows_it_scores_and_tells_its_images(home: Site, away: Site) -> None:
    """Contract: it can judge and be calibrated with images, but forgets nothing alone."""
    plain = home.export()
    assert not [name for name in members(plain) if name.startswith("rows/")]
    said = away.bring(plain).json()
    assert said["rows_kept"] is False
    assert away.scores() == home.scores()
    expected = [image | {"forgettable": False} for image in _images(home)]
    assert _images(away) == expected
    job = away.ended(away.client.post(f"/v1/detectors/{NAME}/forget", json={"groups": ["monday"]}))
    assert job["problem"]["type"].endswith("rows-not-kept")


def test_a_service_that_keeps_no_rows_keeps_none_that_come(tmp_path: Path, bundle: bytes) -> None:
    """Contract: the setting counts for what arrives, too."""
    with site(tmp_path, keep_fitted_rows=False) as strictly:
        assert strictly.bring(bundle).json()["rows_kept"] is False
        assert len(strictly.held()[1]) == 2
        problem(
            strictly.client.get(f"/v1/detectors/{NAME}/export", params={"rows": True}),
            409,
            "rows-not-kept",
        )


@pytest.mark.parametrize("spec", [{"options": {"flips": True}}, {"options": {"evidence": 0}}])
def test_other_ways_of_looking_move_too(tmp_path: Path, spec: dict[str, Any]) -> None:
    """Law: mirrored rows, and detectors without evidence, whose golden images are drawn."""
    with site(tmp_path / "home") as home, site(tmp_path / "away") as away:
        home.learn(**spec)
        whole = home.export(rows=True)
        assert away.bring(whole).status_code == 201
        assert away.scores() == home.scores()
        pictures = [name for name in members(whole) if name.startswith("golden/")]
        assert len(pictures) == (4 if spec == {"options": {"evidence": 0}} else 12)


def test_a_version_can_be_chosen(home: Site, away: Site) -> None:
    """Contract: the file is called by it; what is not calibrated arrives uncalibrated."""
    answer = home.client.get(f"/v1/detectors/{NAME}/export", params={"version": 2})
    told = 'attachment; filename="bolts-v2.gatewatch"'
    assert answer.headers["content-disposition"] == told
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert away.bring(answer.content).status_code == 201
    assert info(away.client, NAME)["state"] == "fitted"
    assert info(away.client, NAME)["fitted_images"] == 20
    problem(
        home.client.get(f"/v1/detectors/{NAME}/export", params={"version": 9}),
        404,
        "unknown-version",
    )


def test_what_is_not_fitted_does_not_move(away: Site) -> None:
    """Contract: there would be nothing to compare."""
    away.client.post("/v1/detectors", json={"name": "new", "image_size": 64})
    said = problem(away.client.get("/v1/detectors/new/export"), 409, "not-fitted")
    assert "fit it first" in said["detail"]
    problem(away.client.get("/v1/detectors/none/export"), 404, "unknown-detector")


def test_a_name_is_given_once(away: Site, bundle: bytes) -> None:
    """Contract: another may be chosen; the detector carries it."""
    assert away.bring(bundle).status_code == 201
    before = away.held()
    said = problem(away.bring(bundle), 409, "detector-exists")
    assert "another name" in said["detail"]
    assert away.held() == before
    assert away.bring(bundle, name="twin").status_code == 201
    assert away.scores("twin") == away.scores()
    assert manifest_of(away.export("twin"))["spec"]["name"] == "twin"


def test_changes_are_in_the_audit(home: Site, away: Site, bundle: bytes) -> None:
    """Contract: who gave it away, who took it in, why."""
    home.export(reason="to line 2", rows=False)
    away.bring(bundle, reason="from line 1")
    (export,) = [
        line
        for line in home.service.storage.audit.lines(subject=NAME)
        if line.reason == "to line 2"
    ]
    assert (export.action, export.after) == ("detector.export", {"version": 4, "rows": False})
    (arrived,) = away.service.storage.audit.lines(subject=NAME)
    assert (arrived.action, arrived.reason) == ("detector.import", "from line 1")
    assert arrived.after["fitted_images"] == 40


def test_it_moves_to_a_database_and_a_bucket(
    tmp_path: Path, home: Site, bundle: bytes, postgres_url: str, bucket_location: str
) -> None:
    """Law: what holds for a directory holds there, and back again."""
    with site(tmp_path, database=postgres_url, bucket=bucket_location) as shared:
        assert shared.bring(bundle).status_code == 201
        assert shared.scores() == home.scores()
        problem(shared.bring(bundle), 409, "detector-exists")
        assert len(shared.held()[1]) == 5
        first, again = members(bundle), members(shared.export(rows=True))
        assert {name for name in first if first[name] != again[name]} <= {MANIFEST}


def test_pictures_differ() -> None:
    """Law: the pictures that the tests score are not all the same."""
    assert picture(900) != picture(901)
