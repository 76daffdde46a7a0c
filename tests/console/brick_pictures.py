"""A detector of bricks before a real server: pictures as files, fitted and calibrated over HTTP."""

from collections.abc import Iterable
from typing import Any

from http_helpers import encode, followed
from real_server import Server

from demo.scenes import scene

HOSTILE = "<img src=x onerror=alert(1)>"
DEFECTS = ("scratch", "stain", "hole", "foreign object")
File = tuple[str, bytes, str]


def good(first: int, count: int, folder: str = "") -> list[File]:
    """Return good pictures as files of a form."""
    return [_file(f"{folder}{at}.png", "good", at) for at in range(first, first + count)]


def defective(first: int, count: int, name: str = "odd") -> list[File]:
    """Return pictures with planted defects, of each kind in turn."""
    return [
        _file(f"{name} {at}.png", DEFECTS[at % len(DEFECTS)], at)
        for at in range(first, first + count)
    ]


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


def _file(name: str, kind: str, seed: int) -> File:
    return name, encode(scene(kind, seed).picture), "image/png"
