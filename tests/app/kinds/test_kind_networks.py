"""Networks that learn: stopped, resumed, replaced; what belongs to one is not judged by another."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from http_helpers import followed, running
from kind_samples import samples
from kind_service import Served, documented

from app.commands.local.base import by
from app.intake.local_images import LocalImages
from app.learning import training
from app.learning.order import Order
from detector import kinds
from detector.embedder import Embedder
from detector.kinds.learned import learn
from models.plan import Plan


@pytest.fixture
def series(tmp_path: Path, embedder: Embedder) -> Iterator[Served]:
    """A service with a detector of the documentation's kind, not fitted yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kinds.KINDS, documented.name, documented)
        patch.setattr(type(documented), "plan", Plan(batch=8, steps=4, rounds=1))
        with running(tmp_path, embedder) as client:
            client.post("/v1/detectors", json={"name": "d", "kind": "series"})
            yield Served(documented, client, tmp_path, embedder)


def test_a_run_taken_up_again_does_not_train_again(
    series: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what was learned under a run's name is there for it, after a restart too."""
    folder = tmp_path / "samples"
    folder.mkdir()
    for number, content in enumerate(samples("series", 16)):
        (folder / f"{number}.csv").write_bytes(content)
    files = LocalImages.of(sorted(folder.iterdir()))
    service = series.client.app.state.service  # type: ignore[attr-defined]
    identity = service.storage.versions.entry("d").id
    told: list[int] = []
    order = Order(by(""), "run", progress=told.append)
    work = partial(training.trained, service, documented, {}, files, identity, order)
    assert series.client.portal is not None
    first = series.client.portal.call(work)
    assert sum(told) == 16 + 4
    monkeypatch.setattr(training, "learn", None)  # whoever trains again fails
    assert series.client.portal.call(work).fingerprint == first.fingerprint
    assert sum(told) == 16 + 4
    monkeypatch.undo()
    other = partial(training.trained, service, documented, {}, files, identity)
    assert series.client.portal.call(other, Order(by(""), "other")).fingerprint == first.fingerprint


def test_training_can_be_cancelled(series: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: between two steps, and no version is made."""
    monkeypatch.setattr(type(documented), "plan", Plan(batch=8, steps=100_000, rounds=1))
    files = [("images", (f"{i}.csv", each)) for i, each in enumerate(samples("series", 16))]
    begun = series.client.post("/v1/detectors/d/fit", files=files)
    path = begun.headers["location"]
    while series.client.get(path).json()["images_done"] < 20:
        pass
    series.client.delete(path)
    ended = followed(series.client, begun)
    assert ended.job["state"] == "cancelled"
    assert series.client.get("/v1/detectors/d").json()["tip"] == 1


def test_the_rows_of_another_network_are_not_judged(series: Served) -> None:
    """Contract: a replaced fit has another network; shadow and old calibration rows are refused."""
    assert series.send("fit", samples("series", 16)).status_code == 200
    held_out = samples("series", 12, seed=1)
    assert series.send("calibrate", held_out, method="conformal", target=0.2).status_code == 200
    first = series.client.get("/v1/detectors/d").json()
    fitted = series.send("fit", samples("series", 20, seed=2), promote="never")
    second = fitted.json()["detector"]
    assert second["backbone_fingerprint"] != first["backbone_fingerprint"]
    assert series.send("calibrate", held_out, target=0.2, promote="never").status_code == 200
    tip = series.client.get("/v1/detectors/d").json()["tip"]
    answer = series.client.put("/v1/detectors/d/shadow", json={"version": tip})
    assert answer.status_code == 409
    assert "another network" in answer.json()["detail"]


def test_time_ends_training(tmp_path: Path, embedder: Embedder) -> None:
    """Contract: GATEWATCH_TRAINING_SECONDS bounds it, and the fit is whole all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kinds.KINDS, documented.name, documented)
        patch.setattr(type(documented), "plan", Plan(batch=8, steps=1_000_000, rounds=1))
        with running(tmp_path, embedder, training_seconds=0.5) as client:
            client.post("/v1/detectors", json={"name": "d", "kind": "series"})
            served = Served(documented, client, tmp_path, embedder)
            fitted = served.send("fit", samples("series", 16))
            assert fitted.status_code == 200, fitted.text
            assert fitted.json()["detector"]["fitted_images"] == 16


def test_fits_side_by_side_draw_their_own_weights() -> None:
    """Law: whatever else draws from torch's generator meanwhile, a seed gives its network."""
    patch = pytest.MonkeyPatch()
    patch.setattr(type(documented), "plan", Plan(batch=8, steps=4, rounds=1))
    view = documented.view({})
    decoded = [documented.decode(each, view) for each in samples("series", 12)]
    try:
        expected = learn(documented, decoded, view).fingerprint
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: learn(documented, decoded, view).fingerprint, range(8)))
    finally:
        patch.undo()
    assert set(found) == {expected}


def test_a_gate_detector_refuses_places_before_it_judges(series: Served) -> None:
    """Contract: a 409, and nothing is counted."""
    body = {"name": "gates", "kind": "series", "scorer": "prototype", "descriptor": "gate"}
    assert series.client.post("/v1/detectors", json=body).status_code == 201
    assert series.send("fit", samples("series", 16), "gates").status_code == 200
    answer = series.raw("score", samples("series", 1)[0], "gates", places=True)
    assert answer.status_code == 409
    counted = re.findall(
        r'^gatewatch_images_scored_total\{model="gates".* (\S+)$',
        series.client.get("/metrics").text,
        re.M,
    )
    assert set(counted) == {"0.0"}
