"""Faults put into every part of a running service: it says so, and is well again when they end."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from history_helpers import picture
from http_helpers import create, problem, send, strict, upload
from job_helpers import Held, Life, life, until

from app.errors import StorageUnavailableError
from app.health import state
from app.scoring import judging
from app.storage.versions import Versions
from detector import imaging
from detector.detector import Detector
from detector.errors import DeviceMemoryError

NAME = "bolts"
PROBE = picture(900)


@pytest.fixture(params=[1, 2], ids=["one lane", "lanes that decode and judge"])
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Life]:
    """A service with a fitted detector."""
    monkeypatch.setattr(state, "RETRY_S", 0.02)
    monkeypatch.setattr(Held, "lanes", request.param)
    with life(tmp_path) as here:
        create(here.client, NAME)
        assert here.ended(here.begun("fit", range(4)))["state"] == "succeeded"
        yield here


def score(here: Life) -> Any:
    return send(here.client, NAME, PROBE, "image/bmp")


def ready(here: Life) -> bool:
    return bool(here.client.get("/readyz").status_code == 200)


def counted(here: Life) -> dict[str, float]:
    """Return what the service counts of traffic."""
    names = ("gatewatch_requests", "gatewatch_images_", "gatewatch_history", "gatewatch_anomaly")
    lines = here.client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith(names))
    return {name: float(value) for name, value in pairs}


def fails(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


BUG, EXIT = RuntimeError("a defect"), SystemExit(1)
FAULTS: dict[str, tuple[Any, str, Any]] = {
    "decode": (imaging, "decode", fails(BUG)),
    "decode thread": (imaging, "decode", fails(EXIT)),
    "engine": (Held, "embed", fails(BUG)),
    "engine thread": (Held, "embed", fails(EXIT)),
    "judge": (Detector, "judge", fails(BUG)),
    "judge thread": (Detector, "judge", fails(EXIT)),
    "delivery": (Held, "embed", lambda *_: None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_says_that_it_fails_and_is_well_again(
    here: Life, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Contract: 500 to whom it concerns, not ready while it lasts, and then as before."""
    expected = strict(score(here))["results"][0]["score"]
    with monkeypatch.context() as patch:
        patch.setattr(*FAULTS[fault])
        failed = score(here)
        assert failed.status_code == 500, failed.text
        assert "a defect" not in failed.text
        until(lambda: not ready(here))
        (reason,) = strict(here.client.get("/readyz"))["reasons"]
        assert reason.startswith("an image of our own failed: ")
        assert here.client.get("/livez").status_code == 200
    until(lambda: ready(here))
    assert strict(score(here))["results"][0]["score"] == expected


def test_no_memory_is_told_and_forgotten(here: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: 503 to whom it concerns, who may repeat it; nothing stays of it."""
    with monkeypatch.context() as patch:
        patch.setattr(Held, "embed", fails(DeviceMemoryError("CUDA out of memory")))
        problem(score(here), 503, "overloaded")
    assert score(here).status_code == 200
    assert ready(here)


def test_no_database_is_not_ready(here: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: nothing could be scored, so that it is not ready, but alive; and then again."""
    with monkeypatch.context() as patch:
        patch.setattr(Versions, "all", fails(StorageUnavailableError("gone")))
        here.service.heartbeats.doubt()
        until(lambda: not ready(here))
        assert here.client.get("/livez").status_code == 200
    until(lambda: ready(here))


def test_a_pool_that_is_gone_ends_the_process(here: Life, caplog: pytest.LogCaptureFixture) -> None:
    """Contract: 503, not alive, and whoever can end the process is told, once."""
    calls: list[bool] = []
    here.service.ingest.batcher.on_fatal = lambda: calls.append(True)
    here.service.ingest._pools.shut_down()
    for _ in range(2):
        answer = upload(here.client, NAME, "score", [PROBE, PROBE])
        problem(answer, 503, "unavailable")
    assert calls == [True]
    for path in ("/livez", "/readyz"):
        assert here.client.get(path).status_code == 503
    assert "nothing can be decoded any more" in caplog.text


def test_a_thread_that_hangs_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: not ready after the patience, not alive after much more; both end with it."""
    is_open, real = threading.Event(), imaging.decode

    def held_up(*arguments: Any, **named: Any) -> Any:
        assert is_open.wait(60)
        return real(*arguments, **named)

    with life(tmp_path, health_seconds=0.5) as here, ThreadPoolExecutor(1) as pool:
        create(here.client, NAME)
        assert here.ended(here.begun("fit", range(4)))["state"] == "succeeded"
        monkeypatch.setattr(imaging, "decode", held_up)
        try:
            sent = pool.submit(score, here)
            until(lambda: "decode: stuck" in here.client.get("/readyz").text)
            until(lambda: here.client.get("/livez").status_code == 503)
            stage = strict(here.client.get("/readyz"))["stages"]["decode"]
            assert stage["calls"] >= 1
            assert stage["longest_s"] > 0.5
        finally:
            is_open.set()
        assert sent.result(60).status_code == 200
        until(lambda: ready(here) and here.client.get("/livez").status_code == 200)


def test_canaries_are_neither_counted_nor_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: they go the whole way, to a detector's verdict, and leave nothing."""
    judged: list[int] = []
    real = judging.judge

    def counting(*arguments: Any) -> Any:
        judged.append(1)
        return real(*arguments)

    monkeypatch.setattr(judging, "judge", counting)
    monkeypatch.setattr(state, "RETRY_S", 0.02)
    with life(tmp_path, health_seconds=4.0) as here:
        create(here.client, NAME)
        assert here.ended(here.begun("fit", range(4)))["state"] == "succeeded"
        before = counted(here)
        for sent in range(1, 4):
            here.service.heartbeats.doubt()
            here.client.portal.call(here.service.heartbeats.doubted.set)  # type: ignore[union-attr]
            until(lambda sent=sent: len(judged) >= sent)
        assert counted(here) == before
        assert strict(here.client.get(f"/v1/detectors/{NAME}/history"))["images"] == []
        until(lambda: ready(here))  # not while one has taken more than half of the time


def test_a_service_without_detectors_is_proved_by_the_engine(tmp_path: Path) -> None:
    """Contract: there is nothing to judge by; one that cannot be asked is passed over."""
    with life(tmp_path) as here:
        create(here.client, "unfitted")
        create(here.client, "masked", mask="request")
        before = here.service.heartbeats.proved_s
        here.client.portal.call(here.service.heartbeats.doubt)  # type: ignore[union-attr]
        until(lambda: here.service.heartbeats.proved_s > before)
        assert ready(here)
        assert upload(here.client, "unfitted", "score", [PROBE]).status_code == 409
