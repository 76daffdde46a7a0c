"""Samples of several kinds in the pages: how they are sent to the service, dropped and drawn."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from brick_pictures import HOSTILE
from browsing import Window
from http_helpers import followed
from playwright.sync_api import FilePayload, expect
from real_server import Server

sys.path.append(str(Path(__file__).parents[1] / "app" / "kinds"))  # tests are no packages
from kind_samples import samples

TYPES = {"audio": (".wav", "audio/wav"), "graph": (".json", "application/json")}
TYPES |= {"sequence": (".json", "application/json"), "series": (".csv", "text/csv")}
TYPES |= {"image_text": (".json", "application/json")}


def contents(kind: str, count: int, *, odd: bool = False, seed: int = 0) -> list[bytes]:
    """Return samples; of sequences some whose oddest token is markup."""
    if kind != "sequence":
        return samples(kind, count, odd=odd, seed=seed)
    rng = np.random.default_rng([seed, odd])
    found = []
    for _ in range(count):
        tokens = ["open", *rng.choice(["read", "write", "seek"], rng.integers(8, 20)), "close"]
        if odd:
            tokens[4:4] = [HOSTILE, HOSTILE]
        found.append(json.dumps({"tokens": tokens}).encode())
    return found


def send(server: Server, kind: str, verb: str, count: int, seed: int = 0, **how: Any) -> None:
    """Do a job to its end."""
    suffix = TYPES[kind][0]
    files = [
        ("images", (f"{at}{suffix}", each))
        for at, each in enumerate(contents(kind, count, seed=seed))
    ]
    begun = server.client.post(f"/v1/detectors/{kind}/{verb}", files=files, params=how)
    assert followed(server.client, begun).status_code == 200, begun.text


def inspect_odd(window: Window, kind: str) -> Any:
    """Drop an odd sample; return the service's explanation, once the page shows its evidence."""
    suffix, media_type = TYPES[kind]
    (odd,) = contents(kind, 1, odd=True, seed=2)
    window.open(f"/detectors/{kind}/inspect")
    chooser = window.page.locator("input[type=file]").first
    with window.page.expect_response("**/explain*") as answer:
        chooser.set_input_files(FilePayload(name=f"odd{suffix}", mimeType=media_type, buffer=odd))
    window.page.get_by_role("heading", name="The most similar normal").wait_for()
    return answer.value.json()


def drawn(window: Window, one: str) -> None:
    """Expect the service's picture, and that it has pixels."""
    picture = window.page.get_by_role("img", name=f"The {one} odd")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }")
