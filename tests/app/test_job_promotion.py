"""Jobs and what serves: what is put in service while they go on stays there."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from history_helpers import picture
from http_helpers import create, info, strict
from job_helpers import Held, Life, life, until
from storage_helpers import BY

from app.jobs import runner
from app.storage.versions import Versions

CALIBRATION = range(1000, 1020)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for jobs and progress often."""
    monkeypatch.setattr(runner, "IDLE_S", 0.05)
    monkeypatch.setattr(runner, "BEAT_S", 0.05)


def prepared(here: Life) -> None:
    """Make version 2, fitted, and version 3, which has a threshold and serves."""
    create(here.client, "bolts", scorer="fusion")
    for verb, seeds in (("fit", range(10)), ("calibrate", CALIBRATION)):
        assert here.ended(here.begun(verb, seeds))["state"] == "succeeded"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Life]:
    """A service with a detector that is calibrated."""
    with life(tmp_path) as here:
        prepared(here)
        yield here


def held(here: Life, verb: str, seeds: range, **query: Any) -> str:
    """Return a job that has begun, and waits until the backbone is let go."""
    here.backbone.most = here.backbone.images
    identity = here.begun(verb, seeds, **query)
    until(lambda: here.storage.jobs.get(identity).serving)
    return identity


def roll_back(here: Life) -> None:
    """Put in service what served before, though it has no threshold."""
    query = {"allow_uncalibrated": True}
    answer = here.client.post("/v1/detectors/bolts/rollback", params=query)
    assert answer.status_code == 200, answer.text


def pointed(here: Life) -> tuple[int, int]:
    """Return the version in service, and the tip."""
    shown = info(here.client, "bolts")
    return shown["in_service"], shown["tip"]


@pytest.mark.parametrize("base", [None, 2])
def test_a_running_job_does_not_undo_a_rollback(here: Life, base: int | None) -> None:
    """Contract: nor does the one behind it; its version is there, and the result warns."""
    more = {} if base is None else {"base": base}
    running = held(here, "calibrate", CALIBRATION, **more)
    roll_back(here)
    here.backbone.let_go()
    result = here.ended(running)["result"]
    assert result["detector"]["version"] == 4
    assert result["detector"]["in_service"] == 2
    (warning,) = [each for each in result["warnings"] if "in service" in each]
    assert "version 2 was put in service" in warning
    assert pointed(here) == (2, 2)
    behind = here.ended(here.begun("fit", range(30, 33), mode="extend"))["result"]
    assert behind["warnings"] == []
    assert here.versions()[-1]["parent"] == 2


@pytest.mark.parametrize("verb", ["fit", "forget"])
def test_every_change_tells(here: Life, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Contract: the warning is in the result of a fit and of a forgetting, too."""
    add = Versions.add

    def late(versions: Versions, *asked: Any, **named: Any) -> Any:
        versions.rollback("bolts", BY, allow_uncalibrated=True)
        return add(versions, *asked, **named)

    monkeypatch.setattr(Versions, "add", late)
    if verb == "fit":
        identity = here.begun("fit", range(20, 25))
    else:
        body = {"sha256": [sha256(picture(0)).hexdigest()]}
        identity = strict(here.client.post("/v1/detectors/bolts/forget", json=body))["id"]
    result = here.ended(identity)["result"]
    assert (result["detector"]["version"], result["detector"]["in_service"]) == (4, 2)
    assert "version 2 was put in service" in result["warnings"][0]


def test_a_fit_and_the_calibration_behind_it_change_hands(here: Life) -> None:
    """Contract: what jobs put in service themselves is in nobody's way."""
    fit = held(here, "fit", range(20, 40))
    calibration = here.begun("calibrate", CALIBRATION)
    here.backbone.let_go()
    assert here.ended(fit)["result"]["detector"]["in_service"] == 3
    result = here.ended(calibration)["result"]
    assert result["detector"]["in_service"] == 5
    assert pointed(here) == (5, 5)


def test_a_job_that_is_taken_up_again_knows_what_served(tmp_path: Path) -> None:
    """Law: what was put in service between its two processes stays, as if it had but one."""
    with life(tmp_path) as here:
        prepared(here)
        identity = held(here, "calibrate", CALIBRATION)
        here.stop_jobs()
        roll_back(here)
    with life(tmp_path, Held()) as again:
        result = again.ended(identity)["result"]
        assert result["detector"]["version"] == 4
        assert pointed(again) == (2, 2)
        assert any("version 2 was put in service" in each for each in result["warnings"])


def test_a_threshold_says_whether_it_judges(here: Life) -> None:
    """Contract: the answer names what serves; a warning only if somebody came in between."""
    address, body = "/v1/detectors/bolts/threshold", {"method": "manual", "value": 1.0}
    for promote, serving in (("never", 3), ("auto", 5)):
        drawn = strict(here.client.put(address, json=body, params={"promote": promote}))
        assert (drawn["in_service"], drawn["warnings"]) == (serving, [])
    get = here.service.catalogue.get

    def then_somebody_promotes(*asked: Any) -> Any:
        stored = get(*asked)
        here.storage.versions.promote("bolts", 3, BY)
        return stored

    here.service.catalogue.get = then_somebody_promotes  # type: ignore[method-assign]
    drawn = strict(here.client.put(address, json=body))
    assert (drawn["version"], drawn["in_service"]) == (6, 3)
    assert "version 3 was put in service" in drawn["warnings"][0]
