"""A detector of bricks before a real server: images as files, fitted and calibrated over HTTP."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from http_helpers import encode, followed
from real_server import Server

from demo.scenes import scene

HOSTILE = "<img src=x onerror=alert(1)>"
DEFECTS = ("scratch", "stain", "hole", "foreign object")
File = tuple[str, bytes, str]


def good(first: int, count: int, folder: str = "") -> list[File]:
    """Return good images as files of a form."""
    return [_file(f"{folder}{at}.png", "good", at) for at in range(first, first + count)]


def defective(first: int, count: int, name: str = "odd") -> list[File]:
    """Return images with planted defects, of each kind in turn."""
    return [
        _file(f"{name} {at}.png", DEFECTS[at % len(DEFECTS)], at)
        for at in range(first, first + count)
    ]


def dimmed(first: int, count: int) -> list[File]:
    """Return good images under a lamp that is failing."""
    return [_file(f"{at}.png", "good", at, light=0.8) for at in range(first, first + count)]


def saved(place: Path, images: Iterable[File]) -> Path:
    """Write images into a folder, with the folders in their names; return it."""
    for name, content, _ in images:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place


def fitted(server: Server, name: str) -> None:
    """Create a small detector, and fit it."""
    spec = {"name": name, "image_size": 96, "scorer": "gaussian"}
    assert server.client.post("/v1/detectors", json=spec).status_code == 201
    send(server, name, "fit", good(0, 30))


def calibrated(server: Server, name: str, images: int = 60, anomalies: int = 12) -> None:
    """Create one, fit it, and calibrate it at 5 % with two groups and known anomalies."""
    fitted(server, name)
    half = images // 2
    normal = [*good(1000, half, "a/"), *good(1500, images - half, f"{HOSTILE}/")]
    send(server, name, "calibrate", normal, defective(2000, anomalies), group_from="folder")


def send(
    server: Server,
    name: str,
    verb: str,
    images: Iterable[File],
    odd: Iterable[File] = (),
    **how: Any,
) -> Any:
    """Send a form; return its answer, or what came of its job."""
    files = [("images", each) for each in images] + [("anomalies", each) for each in odd]
    sent = server.client.post(f"/v1/detectors/{name}/{verb}", files=files, params=how)
    ended = followed(server.client, sent)
    assert ended.status_code == 200, ended.text
    return ended.json()


def _file(name: str, kind: str, seed: int, light: float = 1.0) -> File:
    pixels = (scene(kind, seed).picture * light).astype("uint8")
    return name, encode(pixels), "image/png"
