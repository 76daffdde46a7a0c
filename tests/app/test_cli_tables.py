"""Tables at the 80 columns of a usual terminal: no heading, number or word is broken."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace as Given
from typing import Any

import pytest
from rich.table import Table

from app.commands import judging, keys, managing
from app.commands.common import console

AT = datetime(2026, 11, 23, 7, 55, tzinfo=UTC)
REASON = "as agreed with those of the night shift, who found the old line too strict by far"
DETECTOR: Any = Given(in_service=3, shadow=4, tip=3)
VERSIONS: list[Any] = [
    Given(
        version=number,
        parent=number - 1 or None,
        change=change,
        fitted_images=1200,
        threshold=0.532194,
        stale=number == 4,
        created_at=AT,
        who="root (command line)",
        reason=REASON if number == 3 else "",
    )
    for number, change in enumerate(("create", "replace", "calibrate", "extend"), 1)
]


Shown = Callable[..., str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Return what is printed at so many columns."""

    def shown(show: Callable[[], object], columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        table = show()
        if isinstance(table, Table):
            console().print(table)
        text = capsys.readouterr().out
        assert all(len(line) <= columns for line in text.splitlines())
        return text

    return shown


def test_versions_are_read_at_80_columns(shown: Shown) -> None:
    """Contract: some lines each, where a table would be too wide; only the reason is broken."""
    text = shown(lambda: managing._print_history(DETECTOR, VERSIONS))
    assert text.splitlines() == [
        "version 1: create",
        "  fitted 1200, threshold 0.532194, stale no",
        "  2026-11-23 07:55, root (command line)",
        "version 2: replace of 1",
        "  fitted 1200, threshold 0.532194, stale no",
        "  2026-11-23 07:55, root (command line)",
        "version 3: calibrate of 2, in service",
        "  fitted 1200, threshold 0.532194, stale no",
        "  2026-11-23 07:55, root (command line): as agreed with those of the night",
        "  shift, who found the old line too strict by far",
        "version 4: extend of 3, shadow",
        "  fitted 1200, threshold 0.532194, stale yes",
        "  2026-11-23 07:55, root (command line)",
    ]


def test_versions_are_a_table_where_it_fits(shown: Shown) -> None:
    """Contract: with its whole cells, but for the reason, which is broken at blanks."""
    text = shown(lambda: managing._print_history(DETECTOR, VERSIONS), 140)
    for whole in ("version", "threshold", "calibrate", "0.532194", "root (command line)"):
        assert f" {whole} " in text
    for whole in ("2026-11-23 07:55", "in service", "the night shift, who found"):
        assert f" {whole} " in text
    assert REASON not in text


def test_detectors_are_read_at_80_columns(shown: Shown) -> None:
    """Contract: a long name alone is broken, and not cut."""
    one: Any = Given(
        name="screws-of-line-3-camera-2",
        kind="image_text",
        state="uncalibrated",
        in_service=12,
        fitted_images=1200,
        threshold=None,
        stale=False,
    )
    text = shown(lambda: managing._table([one]))
    for whole in ("name", "version", "threshold", "stale", "image_text", "uncalibrated", "1200"):
        assert f" {whole} " in text
    pieces = [line.split("│")[1].strip() for line in text.splitlines() if "│" in line]
    assert "".join(pieces) == "screws-of-line-3-camera-2"


def test_images_are_told_apart_at_80_columns(shown: Shown) -> None:
    """Contract: by the ends of their names, which are where they differ."""
    results = [
        Given(
            name=f"train/of/the/whole/of/november/picture-{number:05d}-of-camera-3.png",
            score=0.43212,
            threshold=0.5,
            p_value=0.0123,
            verdict="anomalous",
            problem=None,
        )
        for number in (1, 2)
    ]
    scores: Any = Given(detector="screws", version=3, results=results)
    text = shown(lambda: judging._table(scores, "image"))
    pieces = [line.split("│")[1].strip() for line in text.splitlines() if "│" in line]
    assert "".join(pieces) == "".join(each.name for each in results)
    for whole in ("0.4321", "0.0123", "anomalous", "threshold"):
        assert f" {whole} " in text


def test_keys_are_read_at_80_columns(shown: Shown) -> None:
    """Contract: ids, roles and states are whole; the rest is broken at blanks."""
    one: Any = Given(
        id="0123456789ab",
        name="line three of the plant",
        role="operator",
        state="expired",
        per_minute=600,
        expires_at=AT,
        created_by="root (command line)",
    )
    text = shown(lambda: keys._table([one]))
    for whole in ("0123456789ab", "operator", "expired", "made by", "line", "three"):
        assert f" {whole} " in text
