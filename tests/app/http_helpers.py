"""What the HTTP tests share: pictures as files, an app on a real service, uploads, problems."""

import io
import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Telemetry
from detector.embedder import Embedder

Pixels = NDArray[np.uint8]
SIDE_PX = 64
"""Image size of the detectors here: small, to be fast."""


def encode(image: Image.Image | Pixels, kind: str = "PNG", **options: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    file = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, kind, **options)
    return file.getvalue()


def make_app(directory: Path, embedder: Embedder, **settings: Any) -> FastAPI:
    """Return the app on a real service of its own; only the backbone is shared."""
    knobs = Settings(data_dir=directory, device="cpu", **settings)
    return create_app(knobs, Service(knobs, embedder, Storage.open(directory), Telemetry()))


@contextmanager
def running(directory: Path, embedder: Embedder, **settings: Any) -> Iterator[TestClient]:
    """Run an app; a failure inside it is an answer, as behind a real server."""
    app = make_app(directory, embedder, **settings)
    # A request without a key must be addressed to this machine (app.access.identity).
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@dataclass(frozen=True)
class Ended:
    """A job that has ended, read like a response: its result, or its problem and its status."""

    job: dict[str, Any]

    @property
    def status_code(self) -> int:
        return 200 if self.job["state"] == "succeeded" else int(self.job["problem"]["status"])

    @property
    def content(self) -> bytes:
        said = self.job["result"] if self.job["state"] == "succeeded" else self.job["problem"]
        return json.dumps(said).encode()

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


def followed(client: TestClient, response: Any) -> Any:
    """Return a response, or how the job has ended that it promises."""
    if response.status_code != 202:
        return response
    begun = strict(response)
    address = response.headers["location"]
    assert address == f"/v1/jobs/{begun['id']}"
    deadline = time.monotonic() + 300
    while True:
        job = strict(client.get(address))
        if job["state"] in ("succeeded", "failed", "cancelled"):
            break
        assert job["state"] in ("queued", "running"), job
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    if job["state"] == "succeeded":  # a job without images of its own never knows how many
        assert job["images"] in (0, job["images_done"])
    assert (job["result"] is not None) == (job["state"] == "succeeded")
    assert (job["problem"] is not None) == (job["state"] == "failed")
    return Ended(job)


def upload(
    client: TestClient,
    name: str,
    verb: str,
    contents: Iterable[bytes],
    masks: Iterable[bytes | str] = (),
    **query: Any,
) -> Any:
    """Send images as a form, and masks as files or text; return the response, or a job's end."""
    files: list[Any] = [
        ("images", (f"{i}.png", content, "image/png")) for i, content in enumerate(contents)
    ]
    files += [("mask", (None if isinstance(mask, str) else "mask.png", mask)) for mask in masks]
    return followed(client, client.post(f"/v1/detectors/{name}/{verb}", files=files, params=query))


def create(client: TestClient, name: str, **spec: Any) -> None:
    """Create a detector that is small and of the simplest scorer, to be fast, unless told."""
    body = {"name": name, "image_size": SIDE_PX, "scorer": "prototype"} | spec
    assert client.post("/v1/detectors", json=body).status_code == 201


def calibrated(
    client: TestClient,
    name: str,
    contents: list[bytes],
    masks: Iterable[bytes | str] = (),
    **spec: Any,
) -> None:
    """Create a detector, fit it to half of the images and calibrate it with the others."""
    create(client, name, **spec)
    half = len(contents) // 2
    for verb, part in (("fit", contents[:half]), ("calibrate", contents[half:])):
        response = upload(client, name, verb, part, masks)
        assert response.status_code == 200, response.text


def send(
    client: TestClient,
    name: str,
    content: bytes,
    media_type: str = "image/png",
    verb: str = "score",
    **query: Any,
) -> Any:
    """Send one image, to be scored unless told; return the response, or a job's end."""
    headers = {"content-type": media_type}
    url = f"/v1/detectors/{name}/{verb}"
    return followed(client, client.post(url, content=content, headers=headers, params=query))


def result(client: TestClient, name: str, content: bytes) -> dict[str, Any]:
    """Return the result of one image sent as a raw body."""
    response = send(client, name, content)
    assert response.status_code == 200, response.text
    (only,) = strict(response)["results"]
    return dict(only)


def strict(response: Any) -> Any:
    """Return the JSON of a response that may hold no NaN and no infinity."""
    return json.loads(response.content, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that a response, or a job's end, is a problem of this status and kind; return it."""
    assert response.status_code == status, response.text
    body = strict(response)
    stem = "about:blank" if kind == "about:blank" else f"urn:gatewatch:problem:{kind}"
    assert body["type"] == stem
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    if isinstance(response, Ended):  # it was asked about, and that went well
        assert body.keys() == {"type", "title", "status", "detail"}
        return dict(body)
    assert response.headers["content-type"] == "application/problem+json"
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", body["request_id"])
    assert body["request_id"] == response.headers["x-request-id"]
    assert (response.headers.get("retry-after") is not None) == (status in (429, 503))
    return dict(body)


def info(client: TestClient, name: str) -> dict[str, Any]:
    """Return what the service shows of a detector."""
    return dict(strict(client.get(f"/v1/detectors/{name}")))


def put(client: TestClient, name: str, **body: Any) -> Any:
    """Set a detector's threshold; return the response."""
    return client.put(f"/v1/detectors/{name}/threshold", json=body)
