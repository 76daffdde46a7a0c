"""Fit, extend and calibrate over HTTP."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    calibrated,
    create,
    encode,
    followed,
    info,
    problem,
    result,
    running,
    send,
    strict,
    upload,
)
from starlette.testclient import TestClient

from detector.embedder import Embedder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("learning"), embedder) as client:
        yield client


@pytest.fixture(scope="module")
def gravel(client: TestClient, pngs: list[bytes]) -> str:
    """A detector fitted to 20 images and calibrated with 20 others; only thresholds may change."""
    calibrated(client, "gravel", pngs[:40])
    return "gravel"


def test_a_fit_says_what_it_used_and_what_it_left_out(
    client: TestClient, pngs: list[bytes]
) -> None:
    """Contract: bad images are named with their problem; the good ones are fitted."""
    create(client, "picky")
    answer = strict(upload(client, "picky", "fit", [*pngs[:3], b"", b"no image", *pngs[3:6]]))
    assert answer["fitted"] == 6
    assert [item["name"] for item in answer["rejected"]] == ["3.png", "4.png"]
    kinds = {item["problem"]["type"] for item in answer["rejected"]}
    assert kinds == {"urn:gatewatch:problem:undecodable-image"}
    assert answer["detector"] == info(client, "picky")
    shown = answer["detector"]
    assert (shown["state"], shown["fitted_images"], shown["version"]) == ("fitted", 6, 2)

    answer = strict(upload(client, "picky", "calibrate", [b"", *pngs[6:26]]))
    assert answer["calibrated"] == answer["threshold"]["calibration_images"] == 20
    assert [item["name"] for item in answer["rejected"]] == ["0.png"]
    assert answer["detector"] == info(client, "picky")
    assert answer["detector"]["threshold"] == answer["threshold"]


def test_nothing_usable_is_422_and_changes_nothing(client: TestClient, gravel: str) -> None:
    """Contract: the first reason is given; the old fit stays in service."""
    before = info(client, gravel)
    for verb in ("fit", "calibrate"):
        found = problem(upload(client, gravel, verb, [b""] * 20), 422, "no-images")
        assert "0 bytes" in found["detail"]
    assert info(client, gravel) == before


@pytest.mark.parametrize("scorer", ["prototype", "gaussian"])
def test_replace_forgets_and_extend_adds(
    client: TestClient, pngs: list[bytes], scorer: str
) -> None:
    """Law: in two parts = at once; replace = a new detector."""
    names = [f"{which}-{scorer}" for which in ("whole", "parts", "again")]
    for name in names:
        create(client, name, scorer=scorer, descriptor="squeeze")
    whole, parts, again = names
    upload(client, whole, "fit", pngs[:30])
    upload(client, parts, "fit", pngs[:10], mode="extend")  # of nothing: as a first fit
    upload(client, parts, "fit", pngs[10:30], mode="extend")
    upload(client, again, "fit", pngs[40:60])
    upload(client, again, "fit", pngs[:30], mode="replace")
    expected = result(client, whole, pngs[70])["score"]
    for name in (parts, again):
        assert info(client, name)["fitted_images"] == 30
        assert result(client, name, pngs[70])["score"] == pytest.approx(expected, rel=1e-4)
    upload(client, again, "fit", pngs[40:60])
    assert result(client, again, pngs[70])["score"] != pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("change", ["extend", "forget", "replace"])
def test_a_change_of_the_fit_leaves_what_is_in_service_alone(
    client: TestClient, pngs: list[bytes], change: str
) -> None:
    """Contract: calibration and threshold belong to the old fit, whose version goes on serving."""
    name = f"kept-{change}"
    calibrated(client, name, pngs[:40])
    before, judged = info(client, name), result(client, name, pngs[70])
    made = changed(client, name, pngs, change)
    assert (made["version"], made["tip"], made["in_service"]) == (4, 4, 3)
    shown = info(client, name)
    assert shown == before | {"tip": 4, "updated_at": shown["updated_at"]}
    again = result(client, name, pngs[70])
    for key in ("score", "verdict", "threshold", "p_value"):
        assert again[key] == judged[key]
    assert upload(client, name, "calibrate", pngs[40:60]).status_code == 200
    assert (info(client, name)["version"], info(client, name)["stale"]) == (5, False)
    assert result(client, name, pngs[70])["score"] != pytest.approx(judged["score"], rel=1e-3)


@pytest.mark.parametrize("change", ["extend", "forget"])
def test_a_stale_threshold_is_used_only_knowingly(
    client: TestClient, pngs: list[bytes], change: str
) -> None:
    """Contract: 409 on every way to use it, unless allowed; a calibration makes it good again."""
    name = f"stale-{change}"
    calibrated(client, name, pngs[:40])
    threshold = info(client, name)["threshold"]
    made = changed(client, name, pngs, change)
    assert (made["state"], made["stale"], made["threshold"]["stale"]) == ("calibrated", True, True)
    assert made["threshold"]["value"] == threshold["value"]

    address = f"/v1/detectors/{name}"
    line, stale = {"method": "conformal", "target": 0.5}, (409, "stale-calibration")
    problem(send(client, name, pngs[70], version=4), *stale)
    problem(upload(client, name, "score", pngs[70:72], version=4), *stale)
    problem(send(client, name, pngs[70], verb="explain", version=4), *stale)
    problem(client.put(f"{address}/threshold", json=line, params={"base": 4}), *stale)
    problem(client.post(f"{address}/threshold/preview", json={"version": 4}), *stale)
    problem(client.post(f"{address}/versions/4/promote"), *stale)
    assert info(client, name)["in_service"] == 3

    (judged,) = strict(send(client, name, pngs[70], version=4, allow_stale=True))["results"]
    assert judged["threshold"] == threshold["value"]
    assert strict(client.get(f"{address}/threshold", params={"version": 4}))["stale"]
    preview = {"version": 4, "allow_stale": True, "threshold": line}
    assert client.post(f"{address}/threshold/preview", json=preview).status_code == 200
    promoted = client.post(f"{address}/versions/4/promote", params={"allow_stale": True})
    assert strict(promoted)["in_service"] == 4
    problem(send(client, name, pngs[70]), *stale)

    fresh = strict(followed(client, client.post(f"{address}/recalibrate")))
    assert (fresh["detector"]["version"], fresh["detector"]["stale"]) == (5, False)
    assert fresh["calibrated"] == fresh["threshold"]["calibration_images"] == 20
    assert result(client, name, pngs[70])["threshold"] == fresh["threshold"]["value"]


def test_what_was_fitted_since_calibrates_no_more(client: TestClient, pngs: list[bytes]) -> None:
    """Law: a calibration from kept rows leaves out what was fitted after it, and names it."""
    calibrated(client, "since", pngs[:40])
    assert upload(client, "since", "fit", pngs[20:25], mode="extend").status_code == 200
    again = client.post("/v1/detectors/since/recalibrate", params={"target": 0.1})
    made = strict(followed(client, again))
    assert made["calibrated"] == made["threshold"]["calibration_images"] == 15
    kinds = {left_out["problem"]["type"] for left_out in made["rejected"]}
    assert (len(made["rejected"]), kinds) == (5, {"urn:gatewatch:problem:already-fitted"})


def test_a_fit_anew_has_no_threshold_until_it_is_calibrated(
    client: TestClient, pngs: list[bytes]
) -> None:
    """Contract: nothing is left of the old one; put in service nevertheless, it says so."""
    calibrated(client, "anew", pngs[:40])
    made = changed(client, "anew", pngs, "replace")
    assert (made["state"], made["threshold"], made["calibration_images"]) == ("fitted", None, 0)
    address = "/v1/detectors/anew"
    problem(client.get(f"{address}/threshold", params={"version": 4}), 409, "not-calibrated")
    line = {"method": "conformal", "target": 0.5}
    answer = client.put(f"{address}/threshold", json=line, params={"base": 4})
    problem(answer, 409, "not-calibrated")
    refused = problem(followed(client, client.post(f"{address}/recalibrate")), 409, "rows-not-kept")
    assert "send images" in refused["detail"]
    promote = f"{address}/versions/4/promote"
    refused = problem(client.post(promote), 409, "not-calibrated")
    assert "with allow_uncalibrated (--allow-uncalibrated)" in refused["detail"]
    promoted = strict(client.post(promote, params={"allow_uncalibrated": True}))
    assert promoted["state"] == "fitted"
    judged = result(client, "anew", pngs[0])
    assert judged["verdict"] == "uncalibrated"
    assert {judged[key] for key in ("threshold", "margin", "p_value", "flagged")} == {None}


@pytest.mark.parametrize("promote", ["auto", "always", "never"])
def test_who_changes_says_what_goes_into_service(
    client: TestClient, pngs: list[bytes], promote: str
) -> None:
    """Contract: auto puts in service what costs no threshold; always and never do as they say."""
    name = f"promote-{promote}"
    create(client, name)
    served = [1]
    for verb, part, mode in (
        ("fit", pngs[:10], "replace"),
        ("calibrate", pngs[20:40], None),
        ("fit", pngs[10:20], "extend"),
    ):
        query = {"promote": promote} | ({"mode": mode} if mode else {})
        assert upload(client, name, verb, part, **query).status_code == 200
        served.append(info(client, name)["in_service"])
    assert served == {"auto": [1, 2, 3, 3], "always": [1, 2, 3, 4], "never": [1] * 4}[promote]
    assert info(client, name)["tip"] == 4


def test_a_fitted_image_cannot_calibrate(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: known by its bytes, whatever its name, it is left out with its problem."""
    create(client, "honest")
    assert upload(client, "honest", "fit", pngs[:20]).status_code == 200
    answer = strict(upload(client, "honest", "calibrate", [*pngs[20:40], pngs[3], pngs[19]]))
    assert answer["calibrated"] == 20
    assert [item["name"] for item in answer["rejected"]] == ["20.png", "21.png"]
    kinds = {item["problem"]["type"] for item in answer["rejected"]}
    assert kinds == {"urn:gatewatch:problem:already-fitted"}
    problem(upload(client, "honest", "calibrate", pngs[:20]), 422, "no-images")
    forgotten = {"sha256": [sha256(pngs[3]).hexdigest()]}
    gone = followed(client, client.post("/v1/detectors/honest/forget", json=forgotten))
    assert strict(gone)["forgotten"] == 1
    assert strict(upload(client, "honest", "calibrate", pngs[20:40] + pngs[3:4]))["rejected"] == []


@pytest.mark.parametrize("scorer", ["prototype", "gaussian"])
def test_forgotten_is_never_seen(client: TestClient, pngs: list[bytes], scorer: str) -> None:
    """Law: by digest or by group, the scores are those of a fit without the images."""
    names = [f"{which}-{scorer}" for which in ("never", "digest", "lot")]
    for name in names:
        create(client, name, scorer=scorer, descriptor="squeeze")
    never, digest, lot = names
    upload(client, never, "fit", pngs[:20])
    upload(client, digest, "fit", pngs[:25])
    upload(client, lot, "fit", pngs[:20], group="lot 1")
    upload(client, lot, "fit", pngs[20:25], group="lot 2", mode="extend")
    bodies = {
        digest: {"sha256": [sha256(png).hexdigest() for png in pngs[20:25]]},
        lot: {"groups": ["lot 2"]},
    }
    expected = result(client, never, pngs[70])["score"]
    for name, body in bodies.items():
        assert result(client, name, pngs[70])["score"] != pytest.approx(expected, rel=1e-3)
        answer = followed(client, client.post(f"/v1/detectors/{name}/forget", json=body))
        shown = strict(answer)["detector"]
        assert (strict(answer)["forgotten"], shown["fitted_images"]) == (5, 20)
        assert result(client, name, pngs[70])["score"] == pytest.approx(expected, rel=1e-6)
        listed = strict(client.get(f"/v1/detectors/{name}/versions/{shown['version']}/images"))
        assert [i["sha256"] for i in listed["images"]] == [
            sha256(png).hexdigest() for png in pngs[:20]
        ]
        again = followed(client, client.post(f"/v1/detectors/{name}/forget", json=body))
        problem(again, 404, "unknown-image")
    everything = {"groups": ["lot 1"]}
    answer = followed(client, client.post(f"/v1/detectors/{lot}/forget", json=everything))
    problem(answer, 409, "nothing-left")


def changed(client: TestClient, name: str, pngs: list[bytes], change: str) -> dict[str, Any]:
    """Change what a detector was fitted to; return the version that was made."""
    if change == "forget":
        body = {"sha256": [sha256(png).hexdigest() for png in pngs[:5]]}
        answer = followed(client, client.post(f"/v1/detectors/{name}/forget", json=body))
    else:
        answer = upload(client, name, "fit", pngs[60:70], mode=change)
    assert answer.status_code == 200, answer.text
    return dict(strict(answer)["detector"])


@pytest.mark.parametrize("scorer", ["gaussian", "prototype"])
@pytest.mark.parametrize("kind", ["one", "two", "duplicates", "constant", "black and white"])
def test_poor_images_give_finite_scores_or_422(
    client: TestClient, pngs: list[bytes], scorer: str, kind: str
) -> None:
    """Contract: fewer images than channels, or without variation: never NaN, never a 5xx."""
    flat = [encode(np.full((64, 64, 3), level, np.uint8)) for level in (0, 128, 255)]
    contents = {
        "one": pngs[:1],
        "two": pngs[:2],
        "duplicates": pngs[:1] * 5,
        "constant": flat[1:2] * 5,
        "black and white": [flat[0], flat[2]],
    }[kind]
    name = f"poor-{scorer}-{kind.replace(' ', '-')}"
    create(client, name, scorer=scorer, descriptor="squeeze")
    response = upload(client, name, "fit", contents)
    is_possible = scorer == "prototype" or kind in {"two", "black and white"}
    if not is_possible:
        problem(response, 422, "degenerate-data")
        problem(send(client, name, pngs[0]), 409, "not-fitted")
        return
    assert response.status_code == 200, response.text
    for content in (*contents, *flat, pngs[70]):
        assert np.isfinite(result(client, name, content)["score"])
