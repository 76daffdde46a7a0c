"""What a simulation does with a service that is broken or another one; and its verdicts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from app.simulation.errors import RefusedError
from app.simulation.greeting import greet
from app.simulation.pictures import Drawn
from app.simulation.play import Played
from app.simulation.script import Phase
from app.simulation.subject import REASON, Alarm, Standing, Subject
from app.simulation.verdict import verdicts
from gatewatch import Client, JobCancelledError, ServerUnreachableError

Answer = tuple[int, dict[str, str], Any]
GONE: Answer = (0, {}, None)
"""The connection breaks."""
READY = {"status": "ok", "reasons": [], "image_s_ago": 1.0, "stages": {}}
WAITS = READY | {"status": "unavailable"}
NO_LINES: Answer = (200, {}, {"lines": [], "next": None})


@contextmanager
def answering(*answers: Answer) -> Iterator[str]:
    """Serve these answers in order, the last again and again; yields the URL."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            if not status:
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if not isinstance(body, bytes):
                self.send_header("Content-Type", "application/json")
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def problem(status: int, kind: str, detail: str) -> Answer:
    """Return a problem as the service tells it."""
    said = {"type": f"urn:gatewatch:problem:{kind}", "title": kind, "detail": detail}
    return status, {}, said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(200, {}, b"<html>")], "is no gatewatch service"),
        ([(200, {}, {"hello": 1})], "is no gatewatch service"),
        ([(301, {"Location": "https://elsewhere"}, b"")], "is no gatewatch service: Moved"),
        ([(404, {}, {"detail": "Not Found"})], "is no gatewatch service: Not Found"),
        ([(503, {}, WAITS), NO_LINES], "is not ready yet"),
        ([(200, {}, READY), problem(401, "key-required", "a key")], "a key; a simulation makes"),
        ([(200, {}, READY), problem(403, "role-too-low", "admin")], "admin; a simulation makes"),
        ([GONE], "nobody answers at"),
    ],
    ids=["html", "json", "redirect", "missing", "starting", "closed", "role", "gone"],
)
def test_whoever_answers_is_looked_at_first(answers: list[Answer], said: str) -> None:
    with (
        answering(*answers) as url,
        Client(url, retries=0) as client,
        pytest.raises(RefusedError, match=said),
    ):
        greet(client, url)


class Lossy:
    """A service that does what it is asked to, and whose answers to changes are all lost."""

    def __init__(self, reason: str) -> None:
        self.names: set[str] = set()
        self.reason = reason
        self.cancelled: list[str] = []

    def detectors(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.names]

    def audit(self, *, subject: str) -> Iterator[Any]:
        yield SimpleNamespace(action="detector.create", reason=self.reason)

    def create(self, name: str, **_: Any) -> None:
        self.names.add(name)
        raise ServerUnreachableError("POST: no answer; it may have been carried out")

    def delete(self, name: str, **_: Any) -> None:
        self.names.remove(name)
        raise ServerUnreachableError("DELETE: no answer; it may have been carried out")

    def fit(self, name: str, images: list[Any], **_: Any) -> Any:
        def events() -> Iterator[Any]:
            yield SimpleNamespace(images_done=1)
            raise KeyboardInterrupt

        return SimpleNamespace(id="7", events=events)

    def cancel(self, job: str, **_: Any) -> None:
        self.cancelled.append(job)
        raise JobCancelledError("whatever comes of it")


def test_what_was_made_by_a_lost_answer_is_known() -> None:
    """Contract: what our own request has made is ours, and removed though no answer comes."""
    service = Lossy(REASON)
    subject = Subject(service, "simulated")  # type: ignore[arg-type]
    subject.make(64)
    assert subject.made
    subject.remove()
    assert not subject.made
    assert not service.names


def test_what_somebody_else_has_made_meanwhile_is_let_be() -> None:
    service = Lossy("the line's own")
    subject = Subject(service, "simulated")  # type: ignore[arg-type]
    with pytest.raises(ServerUnreachableError):
        subject.make(64)
    subject.remove()
    assert service.names == {"simulated"}
    with pytest.raises(RefusedError, match="no simulation has made"):
        subject.make(64)


def test_a_job_that_nobody_waits_for_is_cancelled() -> None:
    """Contract: Ctrl-C ends it, whether the service answers that or not."""
    service = Lossy(REASON)
    subject = Subject(service, "simulated")  # type: ignore[arg-type]
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        subject.learn(Drawn(0), "fit", 2, lambda _: seen.append)
    assert service.cancelled == ["7"]
    assert seen == [1, 2, 1]


def test_standing_names_the_nearest_stream_of_a_monitor() -> None:
    """Contract: a monitor that this program does not know is told like the others."""
    gaps = (("input", 1.0, 5.0), ("input", 3.0, 5.0), ("input", 2.0, 5.0), ("window", 0.5, 4.0))
    monitors = [
        SimpleNamespace(monitor=name, evidence_log10=have, threshold_log10=ends)
        for name, have, ends in gaps
    ]
    alarms = [SimpleNamespace(monitor="rate", watches="rate", image_number=n) for n in (9, 4)]
    told = SimpleNamespace(state="alarm", images=10, monitors=monitors, alarms=alarms)
    standing = Standing.of(told)  # type: ignore[arg-type]
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
