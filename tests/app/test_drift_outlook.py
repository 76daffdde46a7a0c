"""How soon a change of the traffic would be seen: what the API and the command line say of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
from history_helpers import NAME, Line, line
from http_helpers import problem, strict
from stub_backbone import stub_embedder
from typer.testing import CliRunner
from watch_helpers import PROMISE, watched

from app.cli import cli
from app.monitoring import power
from app.monitoring.power import BEFORE, CHANGES, HORIZON, baseline_of
from detector.drift.autocorrelation import Thinning
from detector.drift.power import Change, simulated
from detector.drift.promise import Promise

ADDRESS = f"/v1/detectors/{NAME}/drift/power"


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Few simulations, and none of them under the checks of array shapes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power, "REPEATS", 7)
        jaxtyping.config.update("jaxtyping_disable", True)
        yield
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a calibrated detector."""
    directory = tmp_path_factory.mktemp("outlook")
    with line(directory) as running:
        watched(running)
    return directory


@pytest.fixture(scope="module")
def bolts(data: Path) -> Iterator[Line]:
    """A service on it."""
    with line(data) as running:
        yield running


def asked(bolts: Line, **query: Any) -> Any:
    """Return the answer."""
    return bolts.get("/drift/power", **query)


def test_the_answer_is_what_the_simulation_says(bolts: Line) -> None:
    """Reference: the domain's own simulation on the calibration, with windows' share."""
    detector = bolts.service.catalogue.get(NAME).detector
    baseline = baseline_of(detector)
    thinning = Thinning.of_scores(baseline.scores)
    every = round(thinning.every)
    expected = simulated(
        baseline,
        Promise(PROMISE),
        thinning,
        Change(0.5),
        repeats=power.REPEATS,
        before=BEFORE * every,
        horizon=HORIZON * every,
        windows=True,
    )
    told = asked(bolts, shift=0.5)
    (found,) = told["changes"]
    assert (found["shift_sd"], found["spread"]) == (0.5, 1.0)
    assert found["median_images"] == expected.median_images
    assert (found["seen"], found["simulations"]) == (expected.seen.count, power.REPEATS)
    assert found["text"] == str(expected)
    assert (told["version"], told["promise_images"]) == (3, PROMISE)
    assert (told["calibration_images"], told["lag_images"]) == (len(baseline.scores), every)
    assert "10,000 images" in told["promise"]


def test_unasked_it_is_a_table_and_a_longer_promise_sees_later(bolts: Line) -> None:
    """Law: larger shifts are seen sooner; every change is, later under a longer promise."""
    whole = asked(bolts)["changes"]
    assert [(each["shift_sd"], each["spread"]) for each in whole] == [
        (change.shift, change.spread) for change in CHANGES
    ]
    medians = [each["median_images"] or HORIZON for each in whole]
    assert medians[0] > medians[1] > medians[2]
    longer = asked(bolts, promise_images=10**9, shift=1)["changes"][0]
    assert longer["median_images"] > medians[2]
    both = asked(bolts, shift=1, spread=2)["changes"][0]
    assert both["text"].startswith("With these settings a shift by 1 sd with a spread times 2")


def test_what_was_simulated_is_not_simulated_again(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the same question has the same answer at once; another promise is another one."""
    calls = []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return simulated(*arguments, **{**named, "repeats": 3})

    monkeypatch.setattr(power, "simulated", counted)
    first = asked(bolts, shift=3, promise_images=777)
    assert asked(bolts, shift=3, promise_images=777) == first
    assert len(calls) == 1
    asked(bolts, shift=3, promise_images=778)
    asked(bolts, shift=3.5, promise_images=777)
    asked(bolts, shift=3.0000001, promise_images=777)
    assert len(calls) == 4


def test_what_cannot_be_simulated_is_refused_in_words(bolts: Line) -> None:
    """Contract: by the route what is no change or promise; by the detector what it has not."""
    for query in (
        {"shift": "nan"},
        {"shift": "lots"},
        {"spread": 0},
        {"promise_images": 1},
        {"version": 0},
    ):
        problem(bolts.client.get(ADDRESS, params=query), 422, "invalid-request")
    problem(bolts.client.get(ADDRESS, params={"version": 2}), 409, "not-calibrated")
    problem(bolts.client.get(ADDRESS, params={"version": 99}), 404, "unknown-version")
    unknown = bolts.client.get("/v1/detectors/nuts/drift/power")
    problem(unknown, 404, "unknown-detector")


def test_unwatched_a_promise_has_to_be_given(tmp_path: Path) -> None:
    """Contract: refused in words where the setting is 0; simulated with the one that is given."""
    with line(tmp_path, drift_false_alarm_images=0) as running:
        watched(running)
        refused = problem(running.client.get(ADDRESS), 422, "invalid-spec")
        assert "give one" in refused["detail"]
        given = running.client.get(ADDRESS, params={"promise_images": 1000, "shift": 3})
        assert strict(given)["promise_images"] == 1000


def test_the_command_prints_a_table_or_what_the_api_answers(
    data: Path, bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the same numbers; failures end with words and a status."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(data))
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: stub_embedder())

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["power", *arguments], terminal_width=200)

    api = asked(bolts, shift=1)
    told = run(NAME, "--shift", "1", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == api
    table = run(NAME, "--shift", "1").stdout
    assert "a shift by 1 sd" in table
    assert f" {api['changes'][0]['median_images']} " in table
    assert "10,000 images" in table
    assert "no detector 'nuts'" in run("nuts").stderr
    assert run(NAME, "--promise", "1").exit_code == 2
    tiny = run(NAME, "--shift", "0", "--promise", "1000000")
    assert "more than 1,000" in tiny.stdout
