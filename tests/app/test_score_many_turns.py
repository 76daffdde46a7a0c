"""Turns of many detectors on the threads that judge: short, shared out, with rows in common."""

from collections.abc import Iterator
from typing import Any

import pytest
from history_helpers import Line, line
from http_helpers import calibrated, problem, upload
from key_helpers import recorded
from test_score_many import NORMAL, PICTURES, copies, many, told

from app.scoring import judging, verdicts
from detector.detector import Detector
from detector.errors import InvalidMaskError
from detector.recipe import Recipe


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Two detectors of one size that look at different rows."""
    with line(tmp_path_factory.mktemp("turns")) as line_:
        calibrated(line_.client, "fusion", NORMAL, scorer="fusion")
        calibrated(line_.client, "prototype", NORMAL)
        yield line_


def test_rows_are_made_once(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: detectors, and a shadow, that look at the same rows share them, whatever they judge by.

    Once for each thread at most: they do not wait for each other.
    """
    names = copies(parts, "fusion", 40)
    made = recorded(monkeypatch, Recipe, "rows")
    answers = told(many(parts.client, [*names, "prototype"]))
    threads = parts.service.ingest.threads
    assert 2 <= len(made) <= 2 * threads
    assert len({recipe for recipe, _ in made}) == 2
    assert len(answers) == 41


def test_a_turn_is_short(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: forty verdicts take three turns or more, and no thread is left out."""
    names = copies(parts, "fusion", 40)
    turns = recorded(monkeypatch, judging, "judge_by_each")
    told(many(parts.client, names, PICTURES[:1]))
    assert sum(len(judges) for judges, _ in turns) == 40
    assert max(len(judges) for judges, _ in turns) <= verdicts.TURN_VERDICTS
    turns.clear()
    told(many(parts.client, names[:2], PICTURES[:1]))
    assert len(turns) == min(2, parts.service.ingest.threads)


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
