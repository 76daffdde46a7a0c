"""What the tests of the client share: both clients in one form, a server on a stub, pictures."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gatewatch import AsyncClient, Client

APP = Path(__file__).parents[1] / "app"
sys.path.append(str(APP))  # tests are no packages; these share a server with those of the service

from http_helpers import SIDE_PX, encode  # noqa: E402

STUB = [sys.executable, str(APP / "faulty_server.py")]
FITTED, CALIBRATED = 40, 39
NAME = "bolts"


def picture(seed: int, odd: int = 0) -> bytes:
    """Return a picture of noise around a colour; the odder, the brighter a corner of it."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 160, size=(SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    pixels[:24, :24] += np.uint8(odd)
    return encode(pixels, "BMP")


def written(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write files below a folder; return it."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


class Both:
    """A client whose methods give plain values, whether it waits or is awaited."""

    def __init__(self, client: Any, resolve: Callable[[Any], Any]) -> None:
        self.client = client
        self.resolve = resolve

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)
        return lambda *arguments, **named: self.resolve(method(*arguments, **named))

    def ended(self, job: Any, **how: Any) -> Any:
        """Return what came of a job."""
        return self.resolve(job.wait(**how))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Iterator) else value


async def _collected(values: AsyncIterator[Any]) -> list[Any]:
    return [value async for value in values]


def both(kind: str, url: str, **how: Any) -> Iterator[Both]:
    """Give a client of this kind."""
    if kind == "sync":
        with Client(url, **how) as client:
            yield Both(client, _plain)
        return
    with asyncio.Runner() as runner:

        def resolve(value: Any) -> Any:
            if isinstance(value, AsyncIterator):
                return runner.run(_collected(value))
            return runner.run(_awaited(value)) if inspect.isawaitable(value) else value

        client = AsyncClient(url, **how)
        try:
            yield Both(client, resolve)
        finally:
            runner.run(client.close())


async def _awaited(value: Any) -> Any:
    return await value


def calibrated(url: str, folder: Path, name: str = NAME) -> None:
    """Create, fit and calibrate a detector."""
    with Client(url) as client:
        client.create(name, image_size=SIDE_PX, scorer="fusion")
        good = {f"good/{seed}.bmp": picture(seed) for seed in range(FITTED)}
        held = {f"held/{seed}.bmp": picture(1000 + seed) for seed in range(CALIBRATED)}
        written(folder, good | held)
        client.fit(name, folder / "good").wait()
        client.calibrate(name, folder / "held", threshold=0.05).wait()
