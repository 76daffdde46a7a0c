"""What is wrong with the settings: a line each, by the name they were given by, and no secret."""

import traceback
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.commands import option_text
from app.environment import InvalidSettingsError, read_settings
from app.settings import Settings
from detector.errors import InvalidSpecError

SECRETS = {
    "GATEWATCH_DATABASE": "postgresql://u:hush@h/d",
    "GATEWATCH_WEBHOOK_URL": "https://h/hush",
    "GATEWATCH_WEBHOOK_SECRET": "whsec_hush",
    "GATEWATCH_MQTT_URL": "mqtt://u:hush@h/plant",
}
WRONG = {"GATEWATCH_QUEUE_BYTES": "5", "GATEWATCH_QUEUE_IMAGES": "6"}
LINES = [
    "GATEWATCH_QUEUE_IMAGES: must be at least GATEWATCH_MAX_REQUEST_IMAGES, 1000, or such a "
    "request could never be taken",
    "GATEWATCH_QUEUE_BYTES: must be at least GATEWATCH_MAX_BODY_BYTES, 536870912, or such a "
    "request could never be taken",
]


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set two things that do not go with others, and secrets beside them."""
    for name, value in (SECRETS | WRONG).items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(cli, list(map(str, arguments)))


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["doctor"],
        ["fit", "x", "FOLDER"],
        ["fit", "x", "FOLDER", "--seed", "1", "--hold-out", "0.1"],
        ["merge", "x", "FILE"],
        ["score", "x", "FOLDER"],
        ["detectors"],
        ["keys", "list"],
        ["adapt", "FOLDER", "--out", "gates.safetensors"],
        ["bench", "FOLDER", "--out", "OUT"],
    ],
    ids=" ".join,
)
def test_every_command_says_it_alike(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: exit code 2, a line for each that is wrong, and nothing beside."""
    monkeypatch.chdir(tmp_path)
    Path("FOLDER").mkdir()
    for file in ("FILE", "FOLDER/a.png"):
        Path(file).touch()
    ended = run(*arguments)
    assert ended.exit_code == 2, ended.output
    assert ended.stderr.splitlines() == [f"gatewatch: {line}" for line in LINES]
    assert not ended.stdout


@pytest.mark.usefixtures("wrong")
def test_no_traceback_tells_a_secret() -> None:
    """Contract: neither of ours nor of pydantic's error, which others may log, as Ray does."""
    for build, error in ((read_settings, InvalidSettingsError), (Settings, ValueError)):
        with pytest.raises(error) as caught:
            build()
        said = "".join(traceback.format_exception(caught.value))
        assert "hush" not in said
        assert LINES[1] in said
    assert "pydantic.dev" not in "".join(traceback.format_exception(_wrong()))


def _wrong() -> Exception:
    try:
        read_settings()
    except InvalidSettingsError as error:
        return error
    raise AssertionError("they are right")


def test_what_an_option_says_is_told_by_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: it goes before the variable, so that is not what is wrong."""
    monkeypatch.setenv("GATEWATCH_PORT", "1")
    monkeypatch.setenv("GATEWATCH_ENGINE", "steam")
    ended = run("serve", "--port", 99999)
    assert ended.exit_code == 2
    assert ended.stderr.splitlines() == [
        "gatewatch: --port: must be less than or equal to 65535",
        "gatewatch: GATEWATCH_ENGINE: must be 'auto', 'torch', 'onnx' or 'openvino'",
    ]


def test_options_that_are_not_given_leave_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWATCH_PORT", "17")
    assert read_settings(port=None, host="here").port == 17
    assert read_settings(port=18).port == 18


def test_a_detectors_options_are_told_in_words() -> None:
    """Contract: by their names, without pydantic's text, and each once."""
    with pytest.raises(InvalidSpecError) as caught:
        option_text.parse(["flips=maybe", "colour=red", "covariance=odd"])
    assert str(caught.value).split("; ") == [
        "option covariance: must be 'full' or 'diagonal'",
        "option flips: must be a valid boolean",
        "option colour: there is no such thing",
    ]
