"""Turns of many detectors on the threads that judge: short, shared out, with rows in common."""

import threading
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


def test_looks_share_the_threads(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: one look does not wait for another, and all together stand in line once a thread.

    Others have images to decode there.
    """
    both, most = threading.Barrier(2, timeout=60), 0
    standing: set[object] = set()
    ingest, real = parts.service.ingest, judging.judge_by_each
    into_pool = ingest.judged
    assert ingest.threads == 2

    def judge(*arguments: Any) -> Any:
        both.wait()
        return real(*arguments)

    async def judged(call: Callable[[], Any]) -> Any:
        nonlocal most
        standing.add(call)
        most = max(most, len(standing))
        try:
            return await into_pool(call)
        finally:
            standing.remove(call)

    names = copies(parts, "fusion", 3)
    monkeypatch.setattr(judging, "judge_by_each", judge)
    told(many(parts.client, ["fusion", "large"]))
    monkeypatch.setattr(judging, "judge_by_each", real)
    monkeypatch.setattr(ingest, "judged", judged)
    told(many(parts.client, [*names, "large"]))
    assert most == ingest.threads


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
