"""A service whose backbone can be held up, so that jobs are met in the middle; and lives of it."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from fastapi import FastAPI
from history_helpers import picture
from http_helpers import SIDE_PX, followed, strict
from numpy.typing import NDArray
from starlette.testclient import TestClient
from stub_backbone import StubBackbone

from app.jobs import events, runner
from app.jobs.runner import JobRunner
from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.storage.jobs import Job, Jobs
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.embedding import Embedding

LEASE_S = 1.0


class Held(StubBackbone):
    """Counts the images it embeds, and stops after ``most`` of them until it is let go."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = most
        self.images = 0
        self._go = threading.Event()

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> Embedding:
        """Return the embedding of prepared images, once it may."""
        if images[0].shape[-1] == SIDE_PX:  # those of jobs; not of the warming up
            if self.most is not None and self.images + len(images) > self.most:
                assert self._go.wait(150)
            self.images += len(images)
        return super().embed(images)

    def let_go(self) -> None:
        """Go on, and hold no more."""
        self.most = None
        self._go.set()


class Life:
    """A service in this process, reached by HTTP and from inside."""

    def __init__(self, client: TestClient, service: Service, backbone: Held) -> None:
        self.client = client
        self.service = service
        self.storage = service.storage
        self.backbone = backbone

    def submit(self, verb: str, seeds: Sequence[int], name: str = "bolts", **query: Any) -> Any:
        """Submit a job; return the response."""
        return self.send(verb, [picture(seed) for seed in seeds], name, **query)

    def send(
        self,
        verb: str,
        contents: Sequence[bytes],
        name: str = "bolts",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Any:
        """Submit a job with these images; return the response."""
        files = [("images", (f"{at}.bmp", content)) for at, content in enumerate(contents)]
        url = f"/v1/detectors/{name}/{verb}"
        return self.client.post(url, files=files, params=query, headers=headers)

    def begun(self, verb: str, seeds: Sequence[int], name: str = "bolts", **query: Any) -> str:
        """Submit a job; return its id."""
        answer = self.submit(verb, seeds, name, **query)
        assert answer.status_code == 202, answer.text
        return str(strict(answer)["id"])

    def job(self, identity: str) -> dict[str, Any]:
        return dict(strict(self.client.get(f"/v1/jobs/{identity}")))

    def ended(self, identity: str) -> dict[str, Any]:
        """Wait for a job's end; return it."""
        until(lambda: self.job(identity)["state"] in ("succeeded", "failed", "cancelled"))
        return self.job(identity)

    def done(self, identity: str, images: int) -> dict[str, Any]:
        """Wait until a job has told that it has done so many images; return it."""
        until(lambda: self.job(identity)["images_done"] >= images)
        return self.job(identity)

    def versions(self, name: str = "bolts") -> list[dict[str, Any]]:
        """Return the versions of a detector, oldest first."""
        listed = strict(self.client.get(f"/v1/detectors/{name}/versions"))["versions"]
        return sorted(listed, key=lambda version: int(version["version"]))

    def scores(self, name: str = "bolts") -> list[float]:
        """Return the scores of some pictures."""
        answer = followed(self.client, self.submit("score", range(900, 904), name))
        assert answer.status_code == 200, answer.text
        return [result["score"] for result in strict(answer)["results"]]

    @property
    def uploads(self) -> list[str]:
        """Names of the kept uploads of jobs."""
        return self.storage.blobs.names("jobs")

    @property
    def rows(self) -> list[str]:
        """Names of the kept rows of all detectors."""
        return [name for name in self.storage.blobs.names("detectors") if "/rows/" in name]

    def stop_jobs(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop working on jobs, as a process does that ends; do something once that has begun."""
        runner = cast(JobRunner, cast(FastAPI, self.client.app).state.runner)

        async def stop() -> None:
            asyncio.get_running_loop().call_soon(meanwhile)
            await runner.__aexit__()

        assert self.client.portal is not None
        self.client.portal.call(stop)


@contextmanager
def life(
    directory: Path, backbone: Held | None = None, database: str | None = None, **settings: Any
) -> Iterator[Life]:
    """Run a service, as behind a real server; a failure inside it is an answer."""
    backbone = backbone or Held()
    settings = {"job_lease_s": LEASE_S, "max_batch": 1} | settings  # one: to count exactly
    knobs = Settings(data_dir=directory, device="cpu", **settings)
    storage = Storage.open(directory, database=database)
    service = Service(knobs, cast(Embedder, backbone), storage, Telemetry())
    app = create_app(knobs, service)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        try:
            yield Life(client, service, backbone)
        finally:
            backbone.let_go()  # else the end would wait for it


def cancelling(patch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Say from now on whether the work on a job that is to be cancelled was told to end.

    It was, when it is asked for the second time whether the job is: it is told after the first.
    """
    asked: list[bool] = []
    get, renew = Jobs.get, Jobs.renew

    def got(*arguments: Any) -> Job:
        job = get(*arguments)
        asked.append(job.cancel_requested)
        return job

    def renewed(*arguments: Any, **named: Any) -> bool:
        asked.append(renew(*arguments, **named))
        return asked[-1]

    patch.setattr(Jobs, "get", got)
    patch.setattr(Jobs, "renew", renewed)
    return lambda: asked.count(True) > 1


def until(is_so: Callable[[], Any], within_s: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def streamed(here: Life, identity: str, last: str | None = None) -> list[dict[str, Any]]:
    """Return a job's events, once they have ended."""
    headers = {} if last is None else {"Last-Event-ID": last.encode()}
    answer = here.client.get(f"/v1/jobs/{identity}/events", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        found.append(lines | {"data": json.loads(lines["data"])})
    return found


def impatient(patch: pytest.MonkeyPatch) -> None:
    """Look for jobs, progress and events often."""
    patch.setattr(runner, "IDLE_S", 0.05)
    patch.setattr(runner, "BEAT_S", 0.05)
    patch.setattr(events, "LOOK_S", 0.01)
