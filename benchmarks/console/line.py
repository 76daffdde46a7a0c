"""A service with something to look at: pictures of a pavement, people's words on them, a lamp that
fails; and beside it detectors in the other states.
"""

import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from demo.scenes import KINDS, Scene, scene
from gatewatch import Client, GatewatchError

DETECTOR, BARE, FRESH, STALE = "pavement", "kerbs", "gutters", "slabs"
FITTED, CALIBRATED, KNOWN, NORMAL, DIMMED, RECENT = 120, 120, 10, 260, 160, 60
DIM = 0.8
"""How bright the failing lamp is."""
GOOD, LOTS = "good", ("lot 1", "lot 2", "lot 3", "lot 4")
ONE_IN = 40
"""Images of the line, of which one has a defect."""


def populate(url: str, only: str = "") -> None:
    """Fill a service that is empty.

    Args:
        url: of the service.
        only: the first detector's name in place of ``DETECTOR``.
    """
    name = only or DETECTOR
    with tempfile.TemporaryDirectory() as folder, Client(url) as client:
        here = Path(folder)
        normal = _folder(here / "normal", range(FITTED))
        held_out = _folder(here / "held-out", range(10_000, 10_000 + CALIBRATED))
        known = _known(here / "known")
        for each in (name, BARE, FRESH, STALE):
            client.create(each)
        for each in (name, BARE, STALE):
            client.fit(each, normal, group_from="folder").wait(progress=True)
        for each in (name, STALE):
            client.calibrate(
                each, held_out, anomalies=known, threshold=0.02, group_from="folder"
            ).wait(progress=True)
        client.extend(STALE, held_out, group_from="folder").wait(progress=True)
        _work(client, name)


def _work(client: Client, name: str) -> None:
    """Score what comes along the line; a person reviews; in the end its lamp fails."""
    for number in tqdm(range(NORMAL), desc="normal traffic", unit=" images"):
        kind = KINDS[number // ONE_IN % len(KINDS)] if number % ONE_IN == ONE_IN - 1 else GOOD
        file = f"{kind.replace(' ', '-')}-{number:04}.png", _png(scene(kind, 20_000 + number))
        (result,) = client.score_batch(name, [file], group=LOTS[number % len(LOTS)]).results
        if result.flagged and result.id and number < NORMAL - RECENT:
            client.review(result.id, "false_alarm" if kind == GOOD else "confirmed")
    for number in tqdm(range(DIMMED), desc="a lamp fails", unit=" images"):
        file = f"belt-{number:04}.png", _png(scene(GOOD, 40_000 + number), DIM)
        client.score_batch(name, [file], group=LOTS[0])
    _wait_for_alarm(client, name)


def _wait_for_alarm(client: Client, name: str, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while client.drift(name).state != "alarm":
        if time.monotonic() > deadline:
            raise GatewatchError(f"{name} has not noticed its lamp: {client.drift(name).summary}")
        time.sleep(0.5)


def _folder(folder: Path, seeds: range) -> Path:
    """Write sound pictures below a folder for each lot; return the folder."""
    for seed in seeds:
        lot = folder / LOTS[seed % len(LOTS)]
        lot.mkdir(parents=True, exist_ok=True)
        (lot / f"{seed:05}.png").write_bytes(_png(scene(GOOD, seed)))
    return folder


def _known(folder: Path) -> Path:
    folder.mkdir()
    for number in range(KNOWN):
        kind = KINDS[number % len(KINDS)]
        (folder / f"{kind}-{number}.png").write_bytes(_png(scene(kind, 30_000 + number)))
    return folder


def _png(shown: Scene, light: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.rint(light * shown.picture).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def example() -> dict[str, bytes]:
    """Return pictures to be inspected, by name: a defective one first."""
    kinds = ("stain", GOOD, "scratch", GOOD, "hole")
    return {f"{kind}-{i}.png": _png(scene(kind, 50_000 + i)) for i, kind in enumerate(kinds)}
