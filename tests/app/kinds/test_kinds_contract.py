"""One suite over every kind of data, the documentation's too: what holds for all of them.

Contract and Law, through HTTP on a real service; what is particular to a kind has tests of its own.
"""

import io
import json
from dataclasses import asdict, make_dataclass, replace
from typing import Any

import numpy as np
import pytest
from http_helpers import followed, running
from kind_samples import HOSTILE, samples
from kind_service import OCTETS, Served, clone, fit_pictures, problem_of
from PIL import Image

from detector.kinds.learned import read

BAD = b"\x00"
"""A sample of no kind."""
RELATIVE = 1e-4
"""Float32 sums are rounded in another order in a batch."""


def test_a_fit_teaches_a_network(served: Served) -> None:
    """Contract: the network has a fingerprint, the detector its samples, and a line."""
    detector = served.client.get("/v1/detectors/d").json()
    assert detector["kind"] == served.kind.name
    assert detector["state"] == "calibrated"
    assert detector["fitted_images"] == 32
    assert detector["calibration_images"] == 24
    assert len(detector["backbone_fingerprint"]) == 64
    assert detector["scorer"] == served.kind.scorer
    known = served.client.get("/v1/info").json()["kinds"][served.kind.name]
    assert detector["view"] == known["view"]
    assert known["limits"], "a kind without limits takes anything"


def test_alone_as_in_a_batch(served: Served) -> None:
    """Law: the score of a sample does not depend on those it comes with."""
    contents = [*samples(served.kind.name, 5, seed=2), *samples(served.kind.name, 2, odd=True)]
    together = served.scores(contents)
    alone = [served.raw("score", each).json()["results"][0]["score"] for each in contents]
    assert together == pytest.approx(alone, rel=RELATIVE)
    assert together == pytest.approx(served.scores(contents[::-1])[::-1], rel=RELATIVE)


def test_a_verdict_is_as_of_images(served: Served) -> None:
    """Contract: score, line, p-value, contributions that sum to the score."""
    (result,) = served.raw("score", samples(served.kind.name, 1, seed=3)[0]).json()["results"]
    assert result["verdict"] in ("normal", "uncertain", "anomalous")
    assert 0 < result["p_value"] <= 1
    assert sum(result["contributions"].values()) == pytest.approx(result["score"])
    assert result["margin"] == pytest.approx(result["score"] - result["threshold"])


def test_where_the_score_comes_from(served: Served) -> None:
    """Law: the shares of all places sum to the score; axes say what every place is."""
    content = samples(served.kind.name, 1, odd=True, seed=4)[0]
    (result,) = served.raw("score", content, places=True).json()["results"]
    shares = [share for each in result["places"] for share in each["shares"]]
    assert sum(shares) == pytest.approx(result["score"], rel=1e-3)
    for place in result["places"]:
        lengths = [len(axis["values"]) for axis in place["axes"]]
        assert np.prod(lengths) == len(place["shares"])
    explained = served.raw("explain", content).json()
    told = [share for each in explained["result"]["places"] for share in each["shares"]]
    assert told == pytest.approx(shares, rel=1e-3, abs=1e-6)
    assert len(explained["nearest"]) == 3


def test_places_are_told_when_asked(served: Served) -> None:
    """Contract: unset leaves it to the kind; false and true are heard."""
    content = samples(served.kind.name, 1, seed=5)[0]
    unset, without = (
        served.raw("score", content, **query).json()["results"][0]["places"]
        for query in ({}, {"places": False})
    )
    assert (unset is not None) == served.kind.located_always
    assert without is None


def test_a_picture_to_look_at(served: Served) -> None:
    """Contract: a PNG of a size people look at, and the first map's values for NumPy."""
    content = samples(served.kind.name, 1, odd=True, seed=6)[0]
    answer = served.raw("map", content)
    assert answer.headers["content-type"] == "image/png"
    width, height = Image.open(io.BytesIO(answer.content)).size
    assert 200 <= width <= 1024
    assert 32 <= height <= 1024
    values = np.load(io.BytesIO(served.raw("map", content, format="npy").content))
    assert values.dtype == np.float32
    assert values.size > 1


def test_a_restart_changes_nothing(served: Served) -> None:
    """Law: another process on the same data gives the same scores, whatever it learned."""
    contents = samples(served.kind.name, 4, seed=7)
    before = served.scores(contents)
    with running(served.directory, served.embedder) as client:
        again = Served(served.kind, client, served.directory, served.embedder)
        assert again.scores(contents) == pytest.approx(before, rel=1e-6)


def test_forgotten_is_never_seen(served: Served) -> None:
    """Law: extended, then forgotten, the scores are the old ones; the network stays as it is."""
    name, more = served.kind.name, samples(served.kind.name, 8, seed=8)
    probes = samples(name, 4, seed=9)
    clone(served, "law")
    fingerprint = served.client.get("/v1/detectors/law").json()["backbone_fingerprint"]
    before = served.scores(probes, "law")
    extended = served.send("fit", more, "law", mode="extend", group="later", promote="always")
    assert extended.status_code == 200, extended.text
    assert extended.json()["detector"]["fitted_images"] == 40
    assert extended.json()["detector"]["backbone_fingerprint"] == fingerprint
    assert served.scores(probes, "law") != pytest.approx(before, rel=1e-6)
    path, query = "/v1/detectors/law/forget", {"promote": "always"}
    sent = served.client.post(path, json={"groups": ["later"]}, params=query)
    assert followed(served.client, sent).status_code == 200
    assert served.scores(probes, "law") == pytest.approx(before, rel=1e-5)


def test_the_same_samples_teach_the_same(served: Served) -> None:
    """Law: a fit to the same samples, sent in another order, gives the same network."""
    name = served.kind.name
    served.client.post("/v1/detectors", json={"name": "again", "kind": name})
    fitted = served.send("fit", samples(name, 32)[::-1], "again")
    first = served.fitted["detector"]["backbone_fingerprint"]
    assert fitted.json()["detector"]["backbone_fingerprint"] == first


def test_drift_is_watched(served: Served) -> None:
    """Contract: scored samples are evidence of their detector, as images are."""
    before = served.client.get("/v1/detectors/d/drift").json()
    served.scores(samples(served.kind.name, 6, seed=10))
    after = served.client.get("/v1/detectors/d/drift").json()
    assert after["state"] in ("warming_up", "in_control", "alarm")
    assert after["images"] - before["images"] == 6


def test_it_moves_to_another_service(served: Served, tmp_path: Any, embedder: Any) -> None:
    """Law: exported and imported, network and all, it gives the same scores."""
    contents = samples(served.kind.name, 4, seed=11)
    bundle = served.client.get("/v1/detectors/d/export").content
    with running(tmp_path, embedder) as client:
        headers = {"content-type": "application/zip"}
        brought = client.post("/v1/import", content=bundle, headers=headers)
        assert brought.status_code == 201, brought.text
        there = Served(served.kind, client, tmp_path, embedder)
        assert there.scores(contents) == pytest.approx(served.scores(contents), rel=1e-6)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_refused(served: Served, content: bytes) -> None:
    """Contract: a clear 4xx, or a verdict where the bytes happen to be a sample; never a 5xx."""
    answer = served.raw("score", content)
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        problem_of(answer, answer.status_code)


def test_damage_is_refused_or_judged(served: Served) -> None:
    """Contract: cut anywhere and with flipped bytes: 4xx or a verdict; alone in its request."""
    whole = samples(served.kind.name, 1, seed=12)[0]
    rng = np.random.default_rng(0)
    damaged = [whole[: len(whole) * part // 8] for part in range(8)]
    for _ in range(24):
        bent = bytearray(whole)
        for place in rng.integers(len(bent), size=3):
            bent[place] ^= int(rng.integers(1, 256))
        damaged.append(bytes(bent))
    answer = served.send("score", [*damaged, whole], places=False)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert results[-1]["verdict"] != "invalid"
    for result in results:
        assert result["problem"] is None or result["problem"]["status"] < 500


def test_bad_samples_are_told_of_by_a_fit(served: Served) -> None:
    """Contract: what cannot be read is left out of fit and training, and named."""
    name = served.kind.name
    served.client.post("/v1/detectors", json={"name": "some", "kind": name})
    fitted = served.send("fit", [*samples(name, 12), BAD], "some").json()
    assert fitted["detector"]["fitted_images"] == 12
    assert len(fitted["rejected"]) == 1
    assert fitted["rejected"][0]["problem"]["status"] < 500


def test_too_few_samples_teach_nothing(served: Served) -> None:
    """Contract: a refusal that says how many are needed, and what is wrong with others."""
    name = served.kind.name
    served.client.post("/v1/detectors", json={"name": "few", "kind": name})
    failed = served.send("fit", [*samples(name, 3), BAD], "few")
    assert failed.status_code == 422
    assert "3 usable" in failed.json()["detail"]
    assert "first that cannot be used" in failed.json()["detail"]


def test_a_view_is_checked(served: Served) -> None:
    """Contract: what does not exist, and values of other types, are refused by name."""
    name, view = served.kind.name, served.client.get("/v1/info").json()["kinds"]
    body = {"name": "v", "kind": name, "view": {"no_such": 1}}
    assert "no_such" in problem_of(served.client.post("/v1/detectors", json=body), 422)["detail"]
    for key, value in view[name]["view"].items():
        for wrong in ("text" if not isinstance(value, str) else 5, None, [], -(10**30)):
            answer = served.client.post("/v1/detectors", json={**body, "view": {key: wrong}})
            assert answer.status_code == 422, (key, wrong, answer.text)


def test_images_alone_have_what_is_of_images(served: Served) -> None:
    """Contract: mask, size, regional scorers and V2 are refused, and say what instead."""
    name = served.kind.name
    for more in (
        {"mask": "request"},
        {"image_size": 128},
        {"scorer": "fusion"},
        {"options": {"flips": True}},
        {"backbone": "se-lite0"},
    ):
        body = {"name": "x", "kind": name, **more}
        problem_of(served.client.post("/v1/detectors", json=body), 422)
    tensor = {"name": "images", "shape": [1], "datatype": "BYTES", "data": ["aGk="]}
    for asked in (
        served.client.post("/v2/models/d/infer", json={"inputs": [tensor]}),
        served.client.get("/v2/models/d"),
        served.client.get("/v2/models/d/ready"),
    ):
        assert problem_of(asked, 409)["type"].endswith("wrong-kind")


def test_an_image_detector_refuses_it(served: Served) -> None:
    """Contract: a sample sent to a detector of images is no image, and says so."""
    content = samples(served.kind.name, 1)[0]
    fit_pictures(served)
    answer = served.client.post("/v1/detectors/pictures/score", content=content, headers=OCTETS)
    assert answer.status_code in (415, 422), answer.text


def test_unequal_samples_pass_together(served: Served) -> None:
    """Law: padding and packing change nothing: a mixed batch of the network is as each alone."""
    stored = served.client.app.state.service.catalogue.get("d")  # type: ignore[attr-defined]
    learned = read(served.kind, stored.detector.network)
    arrays = [learned.prepare(each) for each in samples(served.kind.name, 6, seed=13)]
    together = learned.embedder.embed(arrays)
    for place, array in enumerate(arrays):
        alone = learned.embedder.embed([array])
        for block, mean in alone.mean.items():
            np.testing.assert_allclose(
                together.mean[block][place], mean[0], rtol=1e-3, atol=1e-4, err_msg=block
            )


def test_a_view_is_part_of_the_network(served: Served) -> None:
    """Law: the same weights looked at in another way are another network."""
    stored = served.client.app.state.service.catalogue.get("d")  # type: ignore[attr-defined]
    learned = read(served.kind, stored.detector.network)
    other = replace(learned, settings={**learned.settings, "other": 1})
    assert other.fingerprint != learned.fingerprint
    values = asdict(learned.view)
    name, value = next((n, v) for n, v in values.items() if isinstance(v, bool | int))
    changed = make_dataclass("V", values)(**{**values, name: value + 1})
    assert replace(learned, view=changed).fingerprint != learned.fingerprint
    assert replace(learned).fingerprint == learned.fingerprint


def test_places_of_too_many_are_refused_before_they_are_judged(served: Served) -> None:
    """Contract: nothing is counted of a request that is refused."""
    before = served.client.get("/v1/detectors/d/drift").json()["images"]
    many = samples(served.kind.name, 33, seed=14)
    assert served.send("score", many, places=True).status_code == 413
    assert served.client.get("/v1/detectors/d/drift").json()["images"] == before
    unset = served.send("score", many).json()["results"]
    assert all(result["places"] is None for result in unset)


def test_a_job_shows_steps_and_samples(served: Served) -> None:
    """Contract: progress counts samples read, steps and samples embedded, and ends whole."""
    jobs = served.client.get("/v1/jobs", params={"detector": "d"}).json()["jobs"]
    fit = next(job for job in jobs if job["kind"] == "fit")
    assert fit["images"] == fit["images_done"] == 32 + 32 + 4
    assert json.dumps(fit)
