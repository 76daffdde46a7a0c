"""What a simulation does with a service that is busy, broken or another one; and its verdicts."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from app.simulation import remote
from app.simulation.errors import RefusedError, SimulationError
from app.simulation.play import Played
from app.simulation.remote import Remote
from app.simulation.script import Phase
from app.simulation.subject import REASON, Alarm, Standing, Subject
from app.simulation.verdict import verdicts

Answer = tuple[int, dict[str, str], Any]
BUSY: Answer = (503, {"Retry-After": "0"}, {"detail": "too much waits"})
GONE: Answer = (0, {}, None)
"""The connection breaks."""


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve these answers in order, the last again and again; yields URL and what was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answers[min(len(asked), len(answers) - 1)]
            asked.append((self.path, self.headers.get("Idempotency-Key", "")))
            if not status:
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_busy_service_is_asked_again() -> None:
    """Contract: after as long as it says; a broken connection after a second."""
    answers = (BUSY, (429, {"Retry-After": "1"}, {}), GONE, (200, {}, [1]))
    with answering(*answers) as (url, asked), Remote(url, patience_s=10) as service:
        assert service.get("/x") == [1]
    assert len(asked) == 4


def test_patience_ends() -> None:
    """Contract: with what was said last."""
    busy = (503, {"Retry-After": "30"}, {"detail": "too much waits"})
    for answer, said in (
        (busy, "refused for too long: too much waits"),
        (GONE, "does not answer any more: GET /x"),
    ):
        with (
            answering(answer) as (url, asked),
            Remote(url, patience_s=0.5) as service,
            pytest.raises(SimulationError, match=said),
        ):
            service.get("/x")
        assert len(asked) == 1


def test_a_refusal_for_good_is_told_at_once() -> None:
    with (
        answering((422, {}, {"detail": "no such scorer"})) as (url, asked),
        Remote(url) as service,
        pytest.raises(SimulationError, match="/x: no such scorer"),
    ):
        service.ask("POST", "/x")
    assert len(asked) == 1


def job(state: str, **more: Any) -> Answer:
    fields = {"id": "7", "state": state, "images_done": 3, "result": None, "problem": None}
    return 200, {}, fields | more


def test_a_job_is_begun_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: requests that are repeated bear the same Idempotency-Key."""
    monkeypatch.setattr(remote, "POLL_S", 0.01)
    seen: list[int] = []
    answers = (BUSY, job("queued"), job("running"), job("succeeded", result={"fitted": 1}))
    with answering(*answers) as (url, asked), Remote(url, patience_s=5) as service:
        assert service.job("/fit", [b"a"], seen.append) == {"fitted": 1}
    first, second, *polls = asked
    assert first == second
    assert first[1]
    assert polls == [("/v1/jobs/7", "")] * 2
    assert seen == [3, 3]


def test_a_job_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "POLL_S", 0.01)
    failed = job("failed", problem={"detail": "too few images"})
    with (
        answering(job("queued"), failed) as (url, _),
        Remote(url) as service,
        pytest.raises(SimulationError, match="/fit: too few images"),
    ):
        service.job("/fit", [b"a"], lambda _: None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, b"<html>"), "is no gatewatch service"),
        ((200, {}, {"hello": 1}), "is no gatewatch service"),
        ((301, {"Location": "https://elsewhere"}, b""), "is no gatewatch service: 301 Moved"),
        ((404, {}, {"detail": "Not Found"}), "is no gatewatch service: Not Found"),
        ((503, {}, {"status": "starting"}), "is not ready yet"),
        ((401, {}, {"detail": "a key is needed"}), "a key is needed; a simulation makes"),
    ],
    ids=["html", "json", "redirect", "missing", "starting", "closed"],
)
def test_whoever_answers_is_looked_at_first(answer: Answer, said: str) -> None:
    with (
        answering(answer) as (url, _),
        Remote(url) as service,
        pytest.raises(RefusedError, match=said),
    ):
        service.greet()


@pytest.mark.parametrize("reason", [REASON, "the line's own"])
def test_what_was_made_by_a_lost_answer_is_known(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a conflict with our own first request is none; and what is ours is removed."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    created = {"action": "detector.create", "reason": reason}
    conflict: Answer = (409, {}, {"detail": "there is one"})
    listed: Answer = (200, {}, {"detectors": [{"name": "simulated"}]})
    audit: Answer = (200, {}, {"lines": [created], "next": None})
    answers = ((200, {}, {"detectors": []}), GONE, conflict, listed, audit)
    gone: Answer = (404, {}, {"detail": "no detector"})
    with answering(*answers, GONE, gone) as (url, asked), Remote(url) as service:
        subject = Subject(service, "simulated")
        if reason != REASON:
            with pytest.raises(SimulationError, match="there is one"):
                subject.make(64)
            subject.remove()
            assert len(asked) == len(answers)
        else:
            subject.make(64)
            subject.remove()  # its answer is lost, too
            assert len(asked) == len(answers) + 2
        assert not subject.made


def test_standing_names_the_nearest_stream_of_a_monitor() -> None:
    """Contract: a monitor that this program does not know is told like the others."""
    monitors = [
        {"monitor": "input", "evidence_log10": have, "threshold_log10": ends}
        for have, ends in ((1.0, 5.0), (3.0, 5.0), (2.0, 5.0))
    ]
    monitors.append({"monitor": "window", "evidence_log10": 0.5, "threshold_log10": 4.0})
    alarms = [{"monitor": "rate", "watches": "rate", "image_number": n} for n in (9, 4)]
    told = {"state": "alarm", "images": 10, "monitors": monitors, "alarms": alarms}
    standing = Standing.of(told)
    assert standing.evidence == {"input": (3.0, 5.0), "window": (0.5, 4.0)}
    assert [alarm.image_number for alarm in standing.alarms] == [4, 9]


def judged(change: Any, *alarms: tuple[str, str, int], judged: bool = True) -> tuple[str, bool]:
    played = Played(Phase(change, 100, 0, judged), 50, 100, 5)
    played.alarms = [Alarm(*alarm) for alarm in alarms]
    (verdict,) = verdicts([played])
    return verdict.sentence, verdict.right


def test_verdicts() -> None:
    """Contract: a false alarm and an unnoticed change are wrong; first alarms are told."""
    calm = ("Normal traffic, 100 images, 5% flagged: no alarm, as it should be.", True)
    assert judged("normal") == calm
    sentence, right = judged("normal", ("bulk", "bulk", 59))
    assert ("FALSE ALARM of bulk after 10 images" in sentence, right) == (True, False)
    sentence, right = judged("normal", ("bulk", "bulk", 59), judged=False)
    assert ("Back to normal" in sentence, right) == (True, True)
    assert judged("normal", judged=False)[1]
    alarms = (("rate", "rate", 99), ("input", "contrast", 59), ("input", "brightness", 79))
    sentence, right = judged("lighting", *alarms)
    assert "noticed by input (contrast) after 10 images, rate after 50 images." in sentence
    assert right
    sentence, right = judged("lighting", ("rate", "rate", 99))
    assert "NOT NOTICED by input, as it should have been (only by rate" in sentence
    assert not right
    assert judged("blur")[1] is False
    assert judged("defects", ("rate", "rate", 99))[0].endswith(
        "noticed by rate after 50 images. bulk and frozen were silent, as they should be."
    )
    sentence, right = judged("defects", ("rate", "rate", 99), ("bulk", "bulk", 120))
    assert ("bulk should have been silent" in sentence, right) == (True, True)
