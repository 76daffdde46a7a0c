"""Turns of many detectors on the threads that judge: short, one at a time, with rows in common."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from history_helpers import Line, line
from http_helpers import calibrated, problem, upload
from key_helpers import recorded
from test_score_many import NORMAL, PICTURES, copies, many, told

from app.scoring import judging, verdicts
from detector.detector import Detector
from detector.errors import InvalidMaskError, InvalidSpecError
from detector.recipe import Recipe


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Two detectors of one size that look at different rows, and one of another."""
    # No picture of the service's own is judged while turns are counted.
    with line(tmp_path_factory.mktemp("turns"), health_seconds=600) as line_:
        calibrated(line_.client, "fusion", NORMAL, scorer="fusion")
        calibrated(line_.client, "prototype", NORMAL)
        calibrated(line_.client, "large", NORMAL, image_size=128)
        yield line_


def test_rows_are_made_once(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: detectors, and a shadow, that look at the same rows share them, however they judge."""
    names = copies(parts, "fusion", 40)
    made = recorded(monkeypatch, Recipe, "rows")
    answers = told(many(parts.client, [*names, "prototype"]))
    assert len(made) == len({recipe for recipe, _ in made}) == 2
    assert len(answers) == 41


def test_a_turn_is_short(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: forty verdicts take three turns, and no turn has more than it may."""
    names = copies(parts, "fusion", 40)
    turns = recorded(monkeypatch, judging, "judge_by_each")
    told(many(parts.client, names, PICTURES[:1]))
    assert [len(judges) for judges, _ in turns] == [16, 16, 8]
    assert verdicts.TURN_VERDICTS == 16
    turns.clear()
    told(many(parts.client, names[:5], PICTURES))
    assert [len(judges) for judges, _ in turns] == [4, 1]  # of four pictures each


def test_who_cannot_judge_spoils_no_turn(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: what only judging finds out is a problem in its place, too; it is asked once."""
    names = copies(parts, "fusion", 8)
    monkeypatch.setattr(verdicts, "FOLD_IMAGES", 2)
    asked = []
    real = Detector.judge

    def judge(self: Detector, *arguments: Any) -> Any:
        if self.spec.name == names[3]:
            asked.append(1)
            raise InvalidMaskError("the mask shows no place that was fitted")
        return real(self, *arguments)

    monkeypatch.setattr(Detector, "judge", judge)
    answers = told(many(parts.client, names))
    assert [each["detector"] for each in answers] == names
    assert len(asked) == 1
    assert answers[3]["problem"]["type"] == "urn:gatewatch:problem:invalid-mask"
    assert all(each["results"] == answers[0]["results"] for each in answers[:3] + answers[4:])
    problem(upload(parts.client, names[3], "score", PICTURES[:1]), 422, "invalid-mask")


def test_one_turn_stands_in_line(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: of one request, whatever its detectors look at: others have images to decode."""
    most, turns = 0, 0
    standing: set[object] = set()
    ingest = parts.service.ingest
    into_pool = ingest.judged
    assert ingest.threads == 2

    async def judged(call: Callable[[], Any]) -> Any:
        nonlocal most, turns
        standing.add(call)
        most, turns = max(most, len(standing)), turns + 1
        try:
            return await into_pool(call)
        finally:
            standing.remove(call)

    monkeypatch.setattr(ingest, "judged", judged)
    told(many(parts.client, [*copies(parts, "fusion", 20), "large"], PICTURES[:1]))
    assert (most, turns) == (1, 3)


def test_what_cannot_be_told_together_spoils_no_other(
    parts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a problem in its place; the other detectors are told of."""
    real, asked = judging.together, []

    def together(*arguments: Any) -> Any:
        asked.append(1)
        if len(asked) == 1:
            raise InvalidSpecError("a p-value is none")
        return real(*arguments)

    monkeypatch.setattr(judging, "together", together)
    one, other = told(many(parts.client, ["fusion", "prototype"], false_discovery_rate=0.1))
    assert one["problem"]["type"] == "urn:gatewatch:problem:invalid-spec"
    assert all(result["discovery"] is not None for result in other["results"])
