"""A service with every kind of data, the one of the documentation too; networks learn briefly."""

from collections.abc import Iterator
from typing import Any

import pytest
from http_helpers import running
from kind_samples import samples
from kind_service import FITTED, HELD_OUT, NAMES, Served, documented

from detector import kinds
from detector.embedder import Embedder
from detector.kinds import LearnedKind
from models.plan import Plan


@pytest.fixture(scope="module")
def every_kind() -> Iterator[None]:
    """Register the documentation's kind; let all learn briefly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kinds.KINDS, documented.name, documented)
        for name in NAMES:
            patch.setattr(type(kinds.KINDS[name]), "plan", Plan(batch=8, steps=4, rounds=1))
        yield


@pytest.fixture(scope="module", params=NAMES)
def served(
    request: Any, every_kind: None, embedder: Embedder, tmp_path_factory: Any
) -> Iterator[Served]:
    """Give a service with a fitted and calibrated detector of the kind."""
    kind = kinds.KINDS[request.param]
    assert isinstance(kind, LearnedKind)
    directory = tmp_path_factory.mktemp(kind.name)
    with running(directory, embedder, drift_false_alarm_images=1000) as client:
        made = client.post("/v1/detectors", json={"name": "d", "kind": kind.name})
        assert made.status_code == 201, made.text
        one = Served(kind, client, directory, embedder)
        fitted = one.send("fit", samples(kind.name, FITTED))
        assert fitted.status_code == 200, fitted.text
        one.fitted = fitted.json()
        held_out = samples(kind.name, HELD_OUT, seed=1)
        calibrated = one.send("calibrate", held_out, method="conformal", target=0.1)
        assert calibrated.status_code == 200, calibrated.text
        yield one
