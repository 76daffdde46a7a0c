"""What is measured: pictures of the shared data, servers, and detectors that have learned."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.serving.processes import Server
from demo.service import Upload

NAME, OTHER = "bench", "fitted-meanwhile"
ENGINE_LIMIT_S = 300.0
POLL_S = 0.1
PNG_EVERY = 4
"""One of so many scored pictures is sent as PNG."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files: normal ones to learn from, and those that are scored, JPEG and PNG."""

    fit: list[Path]
    calibrate: list[Path]
    score: list[Path]


def pictures(shared: Path, folder: Path, *, quick: bool) -> Pictures:
    """Return some of the ball screws; every fourth of those to score as PNG, in ``folder``."""
    normal = sorted((shared / "bsdata" / "train" / "good").glob("*.jpg"))
    other = sorted((shared / "bsdata" / "test" / "good").glob("*.jpg"))
    if not normal or not other:
        raise SystemExit(f"there is no bsdata in {shared}")
    fitted, calibrated, scored = (16, 40, 8) if quick else (120, 80, 80)
    step = len(normal) // (fitted + calibrated)
    chosen = normal[::step][: fitted + calibrated]
    folder.mkdir(parents=True, exist_ok=True)
    sent = []
    for place, path in enumerate(other[:scored]):
        if place % PNG_EVERY == 0:
            target = folder / f"{path.stem}.png"
            with Image.open(path) as image:
                image.save(target)
            sent.append(target)
        else:
            sent.append(path)
    return Pictures(chosen[0::2][:fitted], chosen[1::2][:calibrated], sent)


def uploads(paths: Sequence[Path]) -> list[Upload]:
    """Return files as the client sends them: as PNG."""
    made = []
    for path in paths:
        png = io.BytesIO()
        with Image.open(path) as image:
            image.save(png, "png", compress_level=1)
        made.append((f"{path.stem}.png", png.getvalue()))
    return made


def wait_for_engine(server: Server) -> str:
    """Wait until pictures are seen by ONNX Runtime; return what sees them if that does not come."""
    deadline_s = time.monotonic() + ENGINE_LIMIT_S
    while time.monotonic() < deadline_s:
        info, _ = server.client.request("GET", "/v1/info")
        if info["engine"] == "onnx":
            return "onnx"
        time.sleep(POLL_S)
    return str(info["engine"])


def learn(server: Server, name: str, chosen: Pictures, **spec: str) -> None:
    """Create, fit and calibrate a detector."""
    server.client.create(name, **spec)
    server.client.fit(name, uploads(chosen.fit), lambda _: None)
    server.client.calibrate(name, uploads(chosen.calibrate), 0.05, lambda _: None)


@contextmanager
def fitting(server: Server, images: Sequence[Upload]) -> Iterator[None]:
    """Fit a detector that nobody asks, again and again, in the meantime.

    Raises:
        RuntimeError: if none was ever running, so that nothing was measured.
    """
    client = server.client
    client.create(OTHER)
    parts = [("images", (name, content, "image/png")) for name, content in images]
    over, seen = threading.Event(), []

    def work() -> None:
        while not over.is_set():
            job, _ = client.request("POST", f"/v1/detectors/{OTHER}/fit", files=parts)
            path = f"/v1/jobs/{job['id']}"
            while job["state"] in ("queued", "running"):
                if over.is_set():
                    client.http.delete(path)
                over.wait(POLL_S)
                time.sleep(0.02)
                job, _ = client.request("GET", path)
                seen.append(job["state"])

    thread = threading.Thread(target=work, name="fit")
    thread.start()
    try:
        while thread.is_alive() and "running" not in seen:
            time.sleep(POLL_S)
        yield
    finally:
        over.set()
        thread.join()
    if "running" not in seen:
        raise RuntimeError("no fit was running")
