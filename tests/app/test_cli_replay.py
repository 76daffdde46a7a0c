"""The command ``gatewatch replay`` on what a service has scored."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from history_helpers import NAME, line, picture
from stub_backbone import stub_embedder
from typer.testing import CliRunner, Result

from app.cli import cli
from app.clock import now
from app.commands.replay import _moment

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a service that has scored thirty images, and ended."""
    directory = tmp_path_factory.mktemp("data")
    with line(directory) as bolts:
        bolts.fit()
        results = bolts.score([picture(5000 + i, 30 * (i % 5 == 0)) for i in range(30)])
        assert bolts.review(results[0]["id"], "false_alarm").status_code == 201
    return directory


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on it."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(data))
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: stub_embedder())

    def run(*arguments: str, exit_code: int = 0) -> Result:
        ended = CliRunner().invoke(cli, ["replay", *arguments], terminal_width=200)
        assert ended.exit_code == exit_code, ended.output
        assert ended.exception is None or isinstance(ended.exception, SystemExit)
        return ended

    return run


def test_the_table_tells_then_and_now(run: Run) -> None:
    """Contract: counts by time, the reviews, the images that change most, the statement."""
    text = run(NAME, "--value", "1000").output
    assert "newly flagged 0, no longer flagged " in text
    assert "of 30 images" in text
    assert "false_alarm" in text
    assert "anomalous" in text
    assert "Set by hand" in text


def test_json_is_what_the_api_answers(run: Run) -> None:
    """Contract: of another scorer and target, too."""
    told = json.loads(run(NAME, "--scorer", "regional", "--target", "0.1", "--json").stdout)
    assert (told["scorer"], told["threshold"]["target"], told["images"]) == ("regional", 0.1, 30)
    same = json.loads(run(NAME, "--version", "3", "--json").stdout)
    assert same["then"] == same["now"]
    assert json.loads(run(NAME, "--until", "1d", "--json").stdout)["images"] == 0
    assert json.loads(run(NAME, "--since", "1d", "--json").stdout)["images"] == 30


def test_failures_end_with_words(run: Run) -> None:
    """Contract: status 1 for what is not there, 2 for what cannot be asked."""
    assert "no detector 'nuts'" in run("nuts", exit_code=1).stderr
    assert "no scorer 'magic'" in run(NAME, "--scorer", "magic", exit_code=1).stderr
    assert "choose" in run(NAME, "--target", "0.1", "--value", "3", exit_code=2).stderr
    assert "no moment" in run(NAME, "--since", "lunch", exit_code=2).stderr


def test_drift_is_a_table_or_what_the_api_answers(run: Run) -> None:
    """Contract: streams, alarms if there are, how many images; another promise; a time of none."""
    text = run(NAME, "--drift", "--promise", "500").output
    assert "frozen" in text
    assert "watched 30 of 30 images" in text
    assert "per 500 images on average" in " ".join(text.split())
    told = json.loads(run(NAME, "--drift", "--promise", "500", "--json").stdout)
    assert (told["images"], told["promise_images"]) == (30, 500)
    assert told["alarm_count"] == len(told["alarms"])
    nothing = json.loads(run(NAME, "--drift", "--until", "1d", "--json").stdout)
    assert (nothing["images"], nothing["first_at"]) == (0, None)


def test_alarms_of_drift_are_listed(run: Run) -> None:
    """Contract: under a promise so short that a few odd images break it: when, what, which."""
    told = json.loads(run(NAME, "--drift", "--promise", "2", "--json").stdout)
    assert told["alarms"]
    text = run(NAME, "--drift", "--promise", "2").output
    assert "would-be alarm" in text
    assert told["alarms"][0]["image"][:8] in text  # a narrow terminal breaks ids
    assert f"{told['alarm_count']} alarm" in text


def test_drift_goes_with_its_own_options(run: Run) -> None:
    """Contract: what would change the scores is refused, as is a promise without it."""
    assert "only --version" in run(NAME, "--drift", "--scorer", "kl", exit_code=2).stderr
    assert "goes with" in run(NAME, "--promise", "500", exit_code=2).stderr


def test_moments() -> None:
    """Contract: dates with and without a zone; hours and days ago."""
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert _moment("2026-01-31T12:00") == noon
    assert _moment("2026-01-31T13:00+01:00") == noon
    assert _moment(None) is None
    for text, ago in (("24h", timedelta(days=1)), ("1.5d", timedelta(hours=36))):
        moment = _moment(text)
        assert moment is not None
        assert abs(now() - ago - moment) < timedelta(minutes=1)
    for text in ("h", "9e99d", "", "0001-01-01T00:00+14:00"):
        with pytest.raises(typer.BadParameter):
            _moment(text)
