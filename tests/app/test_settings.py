"""The settings: what they are by default, how they are given, and that the README tells all."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import OF_CLIENTS, PREFIX, Settings, check_environment

ROOT = Path(__file__).parents[2]
OTHERS: dict[str, tuple[str, Any]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("0", 0),
    "open": ("true", True),
    "data_dir": ("/srv/gatewatch", Path("/srv/gatewatch")),
    "database": ("postgresql://u:p@h/d", SecretStr("postgresql://u:p@h/d")),
    "bucket": ("s3://bucket/folder", "s3://bucket/folder"),
    "backbone": ("another", "another"),
    "weights": ("/srv/network.safetensors", Path("/srv/network.safetensors")),
    "device": ("cuda", "cuda"),
    "engine": ("onnx", "onnx"),
    "precision": ("bfloat16", "bfloat16"),
    "threads": ("3", 3),
    "decode_threads": ("5", 5),
    "max_batch": ("7", 7),
    "queue_images": ("3000", 3000),
    "queue_bytes": ("600000000", 600_000_000),
    "queue_seconds": ("2.5", 2.5),
    "max_body_bytes": ("1048576", 1048576),
    "max_request_images": ("9", 9),
    "max_upload_bytes": ("10", 10),
    "max_job_images": ("11", 11),
    "max_job_bytes": ("12", 12),
    "max_image_bytes": ("13", 13),
    "max_compression_ratio": ("14", 14),
    "import_roots": ("/srv/a:/srv/b", (Path("/srv/a"), Path("/srv/b"))),
    "max_image_pixels": ("1000", 1000),
    "min_image_side": ("1", 1),
    "keep_fitted_rows": ("false", False),
    "cached_detectors": ("3", 3),
    "training_seconds": ("7.5", 7.5),
    "jobs_at_once": ("1", 1),
    "history_bytes": ("0", 0),
    "history_days": ("7", 7),
    "drift_false_alarm_images": ("0", 0),
    "webhook_url": ("https://h/alarms", SecretStr("https://h/alarms")),
    "webhook_secret": ("whsec_secret", SecretStr("whsec_secret")),
    "webhook_seconds": ("2.5", 2.5),
    "mqtt_url": ("mqtt://h/plant", SecretStr("mqtt://h/plant")),
    "notices_dir": ("/srv/notices", Path("/srv/notices")),
    "job_lease_s": ("5", 5.0),
    "job_days": ("5", 5),
    "health_seconds": ("7.5", 7.5),
    "body_seconds": ("2.5", 2.5),
    "drain_seconds": ("30", 30),
    "log_level": ("debug", "debug"),
}
"""For every setting another value than its default, as the environment has it and as read."""


def test_every_setting_is_described() -> None:
    """Contract: in whole sentences, for they are what an operator reads."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description[0].isupper(), name
        assert field.description.endswith("."), name


def test_defaults_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: without an environment it serves this machine only, and every bound is set."""
    monkeypatch.delenv("GATEWATCH_ENGINE")
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.queue_images >= settings.max_request_images
    assert settings.queue_bytes >= settings.max_body_bytes
    assert all(bound > 0 for bound in settings.limits.values())
    assert set(settings.limits) <= set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert getattr(settings, name) == field.default


@pytest.mark.parametrize("name", Settings.model_fields)
def test_environment_overrides_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: one field is one variable; lower case will do; an argument overrides both."""
    text, value = OTHERS[name]
    assert value != Settings.model_fields[name].default
    for variable in (f"{PREFIX}{name}".upper(), f"{PREFIX}{name}".lower()):
        with monkeypatch.context() as patched:
            patched.setenv(variable, text)
            check_environment()
            assert getattr(Settings(), name) == value
            default = Settings.model_fields[name].default
            assert getattr(Settings(**{name: default}), name) == default


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("device", "tpu"),
        ("threads", "0"),
        ("max_batch", "0"),
        ("queue_images", "0"),
        ("max_body_bytes", "1.5"),
        ("min_image_side", "-1"),
        ("log_level", "loud"),
        ("import_roots", "images"),
        ("import_roots", "/srv/images:../secret"),
        ("max_job_images", "0"),
        ("history_bytes", "-1"),
        ("drift_false_alarm_images", "1"),
        ("drift_false_alarm_images", "-1"),
        ("job_lease_s", "0"),
        ("jobs_at_once", "0"),
    ],
)
def test_impossible_values_are_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: at start, by the setting's name."""
    monkeypatch.setenv(f"{PREFIX}{name}".upper(), text)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_queue_must_hold_the_largest_request() -> None:
    """Contract: else such a request would be refused for ever."""
    with pytest.raises(ValidationError, match="QUEUE_IMAGES: must be at least GATEWATCH_MAX_REQ"):
        Settings(queue_images=9, max_request_images=10)
    assert Settings(queue_images=10, max_request_images=10).queue_images == 10


def test_a_body_as_large_as_allowed_must_fit() -> None:
    """Contract: else a request could be within every limit and never be taken."""
    with pytest.raises(ValidationError, match="QUEUE_BYTES: must be at least GATEWATCH_MAX_BODY"):
        Settings(queue_bytes=9, max_body_bytes=10)
    assert Settings(queue_bytes=10, max_body_bytes=10).queue_bytes == 10


def test_settings_do_not_change() -> None:
    """Contract: they are built once; what does not exist cannot be given."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="prot"):
        Settings(prot=8000)  # type: ignore[call-arg]


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: URLs may hold one; whatever prints the settings hides it."""
    monkeypatch.setenv("GATEWATCH_DATABASE", "postgresql://me:hush@db/gate")
    monkeypatch.setenv("GATEWATCH_WEBHOOK_URL", "https://me:hush@host/")
    monkeypatch.setenv("GATEWATCH_WEBHOOK_SECRET", "whsec_hush")
    monkeypatch.setenv("GATEWATCH_MQTT_URL", "mqtt://me:hush@host/")
    assert "hush" not in f"{Settings()} {Settings()!r} {Settings().model_dump_json()}"


def test_misspelt_variables_are_named() -> None:
    """Contract: all of them, beside what there is; others' variables are none of our business."""
    check_environment({"PATH": "/bin", "GATEWATCH_PORT": "1", "gatewatch_host": "h", "GATE": ""})
    check_environment({"GATEWATCH_URL": "http://here", "GATEWATCH_API_KEY": "gw_key"})
    with pytest.raises(ValueError, match="unknown setting") as caught:
        check_environment({"GATEWATCH_PROT": "1", "gatewatch_hots": "h", "GATEWATCH_PORT": "1"})
    refused, known = str(caught.value).split("; there are: ")
    assert "GATEWATCH_PROT" in refused
    assert "gatewatch_hots" in refused
    assert "GATEWATCH_PORT" not in refused
    assert known.split(", ") == sorted(f"{PREFIX}{name}".upper() for name in Settings.model_fields)


def test_misspelt_variable_of_the_process_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the environment is that of the process unless another is given."""
    monkeypatch.setenv("GATEWATCH_DATADIR", "/tmp")
    with pytest.raises(ValueError, match="GATEWATCH_DATADIR"):
        check_environment()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_readme_has_a_row_for_every_setting(name: str) -> None:
    """Contract: variable, default and description of the table are those of the program."""
    variable = f"{PREFIX}{name}".upper()
    rows = [
        [cell.strip(" `") for cell in line.strip().strip("|").split("|")]
        for line in (ROOT / "README.md").read_text().splitlines()
        if re.match(rf"\|\s*`?{variable}`?\s*\|", line)
    ]
    assert len(rows) == 1, f"README.md has {len(rows)} rows for {variable}"
    (_, default, description) = rows[0]
    field = Settings.model_fields[name]
    assert default == ("unset" if field.default is None else str(field.default))
    assert description.replace("`", "") == " ".join((field.description or "").split())


def test_documents_and_deployment_name_no_other_variable() -> None:
    """Contract: what an operator may copy is a setting that exists."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | set(OF_CLIENTS)
    paths = [ROOT / name for name in ("README.md", "Dockerfile", "docker-compose.yml")]
    paths += [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    for path in paths:
        named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", path.read_text()))
        assert named <= known, f"{path}: {named - known}"
