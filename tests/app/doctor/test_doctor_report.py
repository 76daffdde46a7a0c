"""What ``gatewatch doctor`` says of what it found."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from app.doctor import advice, report
from app.doctor.advice import Advice, Costs, Point
from app.doctor.examination import Found
from app.doctor.loopback import Load


@pytest.fixture
def found() -> Found:
    """A machine of two cores whose engine is slow."""
    costs = {
        "small": Costs(decode_s=0.002, judge_s=0.004, http_s=0.001, engine_per_s=100.0),
        "large": Costs(decode_s=0.2, judge_s=0.004, http_s=0.001, engine_per_s=100.0),
    }
    return Found(
        cores=2,
        device="cpu",
        points=[Point("onnx", 1, 2, 4, 100.0)],
        missing={"other": "it is not installed"},
        costs=costs,
        roofs={kind: advice.roof(cost, 2, on_cpu=True) for kind, cost in costs.items()},
        load=Load(8, 66.0, 120.0, 250.0),
        advice=[Advice("GATEWATCH_ENGINE", "onnx", "it is the fastest")],
        others={"torch": 0.004, "onnx": 0.031, "load": 0.02},
    )


def test_the_bottleneck_of_each_picture_is_named(found: Found) -> None:
    """Contract: a roof and what holds it there, for each kind, then what was achieved."""
    small, large, load, _ = report.lines(found)
    assert small.startswith("small: at most 74 images/s, engine-bound")
    assert large.startswith("large: at most 9 images/s, decode-bound")
    assert "8 clients" in load
    assert "66 images/s, p50 120 ms, p99 250 ms" in load


def test_every_bottleneck_has_words() -> None:
    """Contract: whatever a roof names, there is something to do about it."""
    shares = advice.roof(Costs(1.0, 1.0, 1.0, 1.0), 1, on_cpu=True).shares
    assert set(report.BOUND) == {*shares, "event loop"}


def test_the_tables_hold_the_figures(found: Found) -> None:
    """Contract: engines with those that are missing, costs in ms of a core, settings."""
    console = Console(file=io.StringIO(), width=160)
    for table in report.tables(found):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("2 x 1", "it is not installed", "20.00", "200.00", "GATEWATCH_ENGINE"):
        assert words in text


def test_the_environment_file_gives_reasons(found: Found) -> None:
    """Contract: one line a setting, its reason as a comment before it."""
    lines = report.environment_file(found).splitlines()
    assert all(line.startswith("# ") for line in lines[:2])
    assert lines[2:] == ["# it is the fastest", "GATEWATCH_ENGINE=onnx"]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"torch": 0.004, "onnx": 0.031}, "others took at most 3% of the cores .*onnx"),
        ({}, "is not known"),
    ],
)
def test_a_quiet_machine_is_told_without_a_warning(
    others: dict[str, float], said: str, found: Found
) -> None:
    """Contract: what others took is the report's last word, and a comment of the file."""
    quiet = replace(found, others=others)
    assert report.warning(quiet) is None
    assert re.search(said, list(report.lines(quiet))[-1])
    assert re.search(said, report.environment_file(quiet).splitlines()[1])


def test_figures_of_a_busy_machine_are_not_to_be_trusted(found: Found) -> None:
    """Contract: from a fifth of the cores in one step; the file says so before its settings."""
    assert report.warning(replace(found, others={"torch": 0.199})) is None
    busy = replace(found, others={"torch": 0.01, "onnx": 0.2, "load": 0.02})
    said = report.warning(busy)
    assert said is not None
    for words in ("not to be trusted", "others took at most 20% of the cores", "onnx", "quiet"):
        assert words in said
    assert report.environment_file(busy).splitlines()[1] == f"# {said}"


def test_everything_is_json(found: Found) -> None:
    """Contract: what a program reads holds every figure."""
    read = json.loads(json.dumps(report.as_json(found)))
    assert read["roofs"]["large"]["bottleneck"] == "decode"
    assert read["load"]["p99_ms"] == 250.0
