"""Which measurements a round of the serving benchmark has, and what it sees of the machine."""

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.serving import __main__ as command
from benchmarks.serving import machine, rounds, scene, stages
from benchmarks.serving.load import Measured, Plan, Sample

OURS, THEIRS = 1, 2


class Fake:
    """A server that is there."""

    def __init__(self, port: int) -> None:
        self.port, self.pid = port, 100 + port

    def rss_bytes(self) -> int:
        return 2**20


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Loads that were asked for, none of which is run."""
    plans: list[Plan] = []

    def generate(plan: Plan) -> Measured:
        plans.append(plan)
        samples = [Sample(0.5, 0.1, 200, False)] * 9
        return Measured(samples, cpu_s=0.25, server_s=0.5, busy_s=2.0, stolen_s=0.5, wall_s=2.0)

    @contextmanager
    def fitting(*_: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(rounds, "generate", generate)
    monkeypatch.setattr(scene, "fitting", fitting)
    monkeypatch.setattr(stages, "limit", lambda _: {"sum_ms": 1.0})
    return plans


def bench(parts: Collection[str], said: list[str]) -> rounds.Bench:
    """Return a bench of ours and one peer."""
    ours: Any = Fake(OURS)
    others: Any = {"plain": Fake(THEIRS)}
    plan = stages.Plan([], "data", scene.NAME, 1.0)
    return rounds.Bench(ours, others, parts, [], [], plan, 1.0, said.append)


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (("stages",), ["stages"]),
        (("closed",), ["closed 1", "closed 8", "closed 64"]),
        (("peers",), ["plain 1", "plain 8", "plain 64"]),
        (
            ("closed", "peers"),
            ["closed 1", "plain 1", "closed 8", "plain 8", "closed 64", "plain 64"],
        ),
        (
            ("closed", "fit"),
            ["closed 1", "closed 8", "closed 64", "fit and closed 1", "fit and 50%"],
        ),
        (("many",), []),
    ],
)
def test_a_round_has_the_parts_that_are_wanted(
    asked: list[Plan], parts: tuple[str, ...], names: list[str]
) -> None:
    """Contract: those and no others, in turns; as many steps as were announced."""
    said: list[str] = []
    assert list(bench(parts, said).round(0)) == names == said
    assert rounds.steps(parts, peer_count=1) == len(names)


def test_a_whole_round_asks_everybody(asked: list[Plan]) -> None:
    """Contract: each server at its own path, seen by its process; loads of the capacity found."""
    said: list[str] = []
    found = bench(rounds.PARTS, said).round(3)
    assert len(found) == rounds.steps(rounds.PARTS, peer_count=1)
    paths = {plan.port: plan.path for plan in asked}
    assert paths == {OURS: f"/v1/detectors/{scene.NAME}/score", THEIRS: "/score"}
    assert {plan.port: plan.pid for plan in asked} == {OURS: 100 + OURS, THEIRS: 100 + THEIRS}
    rates = [plan.rate for plan in asked if plan.rate]
    assert rates == pytest.approx([share * 10.0 for share in (0.5, 0.8, 1, 2, 10, 0.5)])
    assert {plan.seed for plan in asked if plan.rate} == {3}


def test_a_load_says_what_others_took_of_the_machine(asked: list[Plan]) -> None:
    """Reference: of 2 s of processor in 2 s, 0.5 are the server's and 0.25 the generator's."""
    found = bench(("closed",), []).round(0)["closed 8"]
    assert isinstance(found, dict)
    cores = [found[f"{who}_cores"] for who in ("server", "generator", "other", "stolen")]
    assert cores == pytest.approx([0.25, 0.125, 0.625, 0.25])
    assert found["server_ms"] == pytest.approx(500 / 9)


def test_a_process_is_read_from_proc() -> None:
    """Reference: what this process is told of itself by other means, to a few ticks."""
    ends_s = time.process_time() + 0.1
    while time.process_time() < ends_s:
        pass
    assert machine.taken_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], set(rounds.PARTS)),
        (["--only", "stages,many"], {"stages", "many"}),
        (["--only", "open"], {"open", "closed"}),
        (["--only", "stages", "--soak", "1"], {"stages", "closed"}),
    ],
)
def test_only_some_parts_can_be_asked_for(arguments: list[str], parts: set[str]) -> None:
    """Contract: what is a share of the capacity brings the closed loops that find it."""
    assert set(command.parsed(["shared", "--out", "out", *arguments]).only) == parts


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Contract: and those there are are named."""
    with pytest.raises(SystemExit):
        command.parsed(["shared", "--out", "out", "--only", "stages,all"])
    assert f"there is no all; there is: {', '.join(rounds.PARTS)}" in capsys.readouterr().err
