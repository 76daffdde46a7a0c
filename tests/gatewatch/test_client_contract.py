"""The whole API through each client, against a live server, and beside plain HTTP."""

import io
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import numpy as np
import pytest
from client_helpers import NAME, Both, picture, written
from PIL import Image

import gatewatch
from gatewatch import NewThreshold, Options

SIDE_PX = 64


@pytest.fixture
def name(client: Both, url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A detector of the test's own."""
    made = re.sub("[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    client.create(made, image_size=SIDE_PX, scorer="prototype")
    yield made
    client.delete(made)


def plain(value: Any) -> Any:
    """Return a dataclass as the JSON it was read from."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("detector", f"/v1/detectors/{NAME}", None),
        ("detectors", "/v1/detectors", "detectors"),
        ("threshold", f"/v1/detectors/{NAME}/threshold", None),
        ("calibration_scores", f"/v1/detectors/{NAME}/threshold/scores", None),
        ("versions", f"/v1/detectors/{NAME}/versions", "versions"),
        ("shadow", f"/v1/detectors/{NAME}/shadow", None),
        ("proposals", f"/v1/detectors/{NAME}/proposals", None),
        ("info", "/v1/info", None),
        ("me", "/v1/me", None),
        ("jobs", "/v1/jobs", "jobs"),
        ("audit", "/v1/audit", "lines"),
        ("keys", "/v1/keys", "keys"),
        ("reviews", "/v1/reviews", "reviews"),
    ],
)
def test_reads_what_plain_http_reads(
    client: Both, url: str, method: str, path: str, field: str | None
) -> None:
    """Contract: nothing of an answer is lost or changed on its way into a dataclass."""
    given = (NAME,) if NAME in path else ()
    ours = getattr(client, method)(*given)
    theirs = httpx.get(url + path).json()
    theirs = theirs[field] if field else theirs
    ours = [asdict(each) for each in ours] if isinstance(ours, list) else asdict(ours)
    assert plain(ours) == theirs


def test_traffic_is_what_plain_http_reads(client: Both, url: str) -> None:
    """Contract: the same, but for the moment at which it was asked for."""
    ours, theirs = plain(asdict(client.traffic(hours=720))), httpx.get(f"{url}/v1/traffic").json()
    assert ours["detectors"]
    for told in (ours, theirs):
        del told["since"], told["until"]
        for each in told["detectors"]:
            del each["buckets"]  # of a day, and of thirty
    assert ours == theirs


def test_the_service_tells_how_it_is(client: Both) -> None:
    assert client.alive().status == "ok"
    assert client.ready().status == "ok"
    assert "gatewatch_requests_total" in client.metrics()


def test_a_detectors_life(client: Both, name: str, tmp_path: Path) -> None:
    """Contract: fit, extend, forget, calibrate, thresholds, versions; each job is awaited."""
    images = {f"lot-{seed % 2}/{seed}.bmp": picture(seed) for seed in range(30)}
    folder = written(tmp_path / "good", images)
    fitted = client.ended(client.fit(name, folder, group_from="folder", reason="first"))
    assert (fitted.fitted, fitted.rejected) == (30, [])
    assert fitted.detector.state == "fitted"

    listed = client.fitted_images(name, fitted.detector.version)
    assert {(each.name, each.group) for each in listed} == {
        (path, path.partition("/")[0]) for path in images
    }
    assert client.fitted_images(name, fitted.detector.version, limit=7) == listed[:7]

    more = [(f"m-{seed}", picture(seed)) for seed in range(30, 34)]
    assert client.ended(client.extend(name, more, groups={"m-30": "late"})).fitted == 4
    assert client.ended(client.forget(name, groups=["late"])).forgotten == 1

    held = [picture(seed) for seed in range(100, 140)]
    odd = [picture(seed, odd=90) for seed in range(3)]
    line = NewThreshold(method="conformal", target=0.1)
    drawn = client.ended(client.calibrate(name, held, anomalies=odd, threshold=line))
    assert (drawn.calibrated, drawn.threshold.target) == (43, 0.1)
    assert drawn.detector.known_anomalies == 3
    again = client.ended(client.recalibrate(name))
    assert again.threshold.value == pytest.approx(drawn.threshold.value)

    previewed = client.preview(name, threshold=0.2, targets=[0.05, 0.2])
    assert [point.target for point in previewed.points] == [0.05, 0.2]
    assert previewed.proposed.target == 0.2
    before = client.detector(name).in_service
    new = client.set_threshold(name, 0.2, reason="more alarms")
    assert new.target == 0.2
    assert client.threshold(name).version == new.version
    assert client.rollback(name).in_service == before
    assert client.promote(name, new.version).in_service == new.version
    assert client.version(name, new.version).lineage.reason == "more alarms"

    one = picture(500, odd=60)
    compared = client.compare(name, before, new.version, [one])
    assert compared.images == 1
    assert [each.score for each in compared.results[0]] == [
        client.score(name, one, version=version).score for version in (before, new.version)
    ]
    assert client.set_shadow(name, before).shadow == before
    client.remove_shadow(name)
    assert client.shadow(name).shadow is None
    spare = client.set_threshold(name, 0.3, promote="never")
    with pytest.raises(gatewatch.InServiceError):
        client.delete_version(name, spare.version)
    client.promote(name, new.version)
    client.delete_version(name, spare.version, reason="never used")
    assert spare.version not in [each.version for each in client.versions(name)]


def test_images_come_in_every_form(client: Both, tmp_path: Path) -> None:
    """Law: a picture has the same score as bytes, file, path, array, Pillow's, named or zipped."""
    content = picture(7)
    pixels = np.array(Image.open(io.BytesIO(content)))
    path = written(tmp_path, {'odd "name".bmp': content}) / 'odd "name".bmp'
    packed = tmp_path / "all.zip"
    with ZipFile(packed, "w") as archive:
        archive.write(path, "in/one.bmp")
    forms = [content, path, str(path), pixels, Image.fromarray(pixels), ("named", pixels)]
    scores = [client.score(NAME, form).score for form in forms]
    with path.open("rb") as file:
        scores.append(client.score(NAME, file).score)
    batch = client.score_batch(NAME, [content, path, ("x", pixels)])
    zipped = client.score_batch(NAME, packed)
    scores += [result.score for result in (*batch.results, *zipped.results)]
    assert scores == pytest.approx([scores[0]] * 11, rel=1e-9)
    assert [result.name for result in batch.results] == ["images-0", path.name, "x"]
    assert zipped.results[0].name == "in/one.bmp"


def test_many_detectors_and_what_is_odd(client: Both, name: str) -> None:
    """Contract: one that cannot score has its problem in its place; maps are there."""
    many = client.score_many([NAME, name], [picture(1)])
    assert isinstance(many.detectors[0], gatewatch.Scores)
    assert isinstance(many.detectors[1], gatewatch.DetectorRefused)
    assert many.detectors[1].problem.type.endswith(":not-fitted")
    explained = client.explain(NAME, picture(1, odd=90))
    assert len(explained.nearest) > 0
    assert explained.map is not None
    assert client.map(NAME, picture(1)).startswith(b"\x89PNG")
    cells = np.load(io.BytesIO(client.map(NAME, picture(1), format="npy")))
    assert cells.shape == (SIDE_PX, SIDE_PX)
    told = client.divergence(NAME, [picture(seed) for seed in range(20)])
    assert (told.images, told.rejected) == (20, [])


def test_an_image_that_is_none(client: Both) -> None:
    """Contract: alone it raises its problem, among others it has it in its place."""
    with pytest.raises(gatewatch.UndecodableImageError) as caught:
        client.score(NAME, b"no image")
    assert caught.value.status == 422
    assert caught.value.request_id
    with pytest.raises(gatewatch.ImageError):
        client.score(NAME, ("a.png", b"no image"))
    good, bad = client.score_batch(NAME, [picture(1), b"no image"]).results
    assert good.problem is None
    assert bad.verdict == "invalid"
    assert bad.problem.status == 422


def test_history_reviews_and_replay(client: Both) -> None:
    """Contract: what was scored is found, judged by people, and judged again."""
    scored = client.score(NAME, ("a part.bmp", picture(60, odd=90)))
    assert scored.flagged
    found = client.image(scored.id)
    assert (found.image.name, found.image.score) == ("a part.bmp", scored.score)
    word = client.review(scored.id, "confirmed", note="scratch")
    assert client.image(scored.id).reviews[0] == word
    assert client.reviews(detector=NAME, limit=1)[0].image == scored.id
    newest = client.history(NAME, verdict="anomalous", limit=1)
    assert [each.id for each in newest] == [scored.id]
    assert client.history(NAME, until=found.image.at) == client.history(NAME)[1:]
    told = client.ended(client.replay(NAME, threshold=0.5))
    assert told.images == len(client.history(NAME))
    assert told.threshold.target == 0.5
    with pytest.raises(gatewatch.NoProposalError):
        client.apply_proposal(NAME, "images")
    normal = client.score(NAME, picture(60))
    assert not normal.flagged
    assert client.review(normal.id, "passed").word == "passed"
    with pytest.raises(gatewatch.ReviewMismatchError, match="passed or missed"):
        client.review(normal.id, "confirmed")


def test_drift(client: Both) -> None:
    told = client.drift(NAME)
    assert {each.monitor for each in told.monitors} >= {"bulk", "rate", "frozen"}
    assert client.acknowledge(NAME, reason="seen").state != "alarm"
    assert client.acknowledge(NAME, monitor="bulk").detector == NAME
    assert client.power(NAME, shift=1.0).detector == NAME
    assert client.ended(client.replay_drift(NAME)).detector == NAME
    assert client.notices(detector=NAME) == []
    with pytest.raises(gatewatch.NoSinkError):
        client.send_test_notice()
    with pytest.raises(gatewatch.InsufficientCalibrationError):
        client.rebaseline(NAME, images=300)


def test_a_detector_is_carried_as_a_file(client: Both, tmp_path: Path) -> None:
    """Contract: the file is written as it comes, whole or not at all."""
    file = client.export(NAME, tmp_path / "bolts.gatewatch", rows=True)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    came = client.import_(file, name="carried")
    assert came.rows_kept
    assert came.detector.name == "carried"
    client.delete("carried", reason="done")
    with pytest.raises(gatewatch.UnknownDetectorError):
        client.export("carried", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_jobs_fail_are_cancelled_and_found_again(client: Both, name: str, tmp_path: Path) -> None:
    """Contract: a job that failed raises the class of its problem, wherever it is waited for."""
    job = client.fit(name, [b"no image", b"none either"])
    with pytest.raises(gatewatch.NoImagesError):
        client.ended(job)
    with pytest.raises(gatewatch.NoImagesError):
        client.ended(client.job(job.id))
    slow = [np.full((SIDE_PX, SIDE_PX, 3), seed % 5, np.uint8) for seed in range(60)]
    for at, pixels in enumerate(slow):
        pixels[0, 0] = (at % 5, at // 5 % 5, at // 25)
    job = client.fit(name, slow)
    with pytest.raises(TimeoutError, match=job.id):
        client.ended(job, timeout_s=0.2)
    client.cancel(job.id, reason="too slow")
    with pytest.raises(gatewatch.JobCancelledError):
        client.ended(job)
    assert client.jobs(detector=name, limit=1)[0].id == job.id
    with pytest.raises(gatewatch.NoAdaptedGatesError):
        client.gates(job.id, tmp_path / "gates")
    adapting = client.adapt([picture(1)])
    assert adapting.info.kind == "adapt"
    with pytest.raises(gatewatch.ProblemError):
        client.ended(adapting)


def test_events_tell_a_job_to_its_end(client: Both, name: str) -> None:
    job = client.fit(name, [picture(seed) for seed in range(8)])
    told = client.resolve(job.events())
    assert told[-1].state == "succeeded"
    assert job.result.fitted == 8
    assert job.ended


def test_a_detector_with_all_that_can_be_said(client: Both) -> None:
    """Contract: options, a mask of polygons and one of an image are understood."""
    corners = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]
    made = client.create("full", mask=corners, options=Options(memory=0, flips=True), image_size=96)
    assert (made.mask, made.options.flips, made.image_size) == ("fixed", True, 96)
    client.delete("full")
    white = np.full((8, 8), 255, np.uint8)
    assert client.create("full", mask=white, options={"flips": False}).mask == "fixed"
    client.delete("full")
    assert client.create("full", mask="request").mask == "request"
    client.delete("full")
