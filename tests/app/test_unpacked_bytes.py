"""Zip files that unpack to far more than they are: together they hold what there is room for."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from history_helpers import NAME, picture
from http_helpers import create, encode
from real_server import STUB, Server
from upload_helpers import ZIP, zipped

MOST = 20_000_000
SLACK = 4 * 2**20
"""What is written before it is counted, and what lies around it in the files."""
CLIENTS, IMAGES, SIDE_PX = 8, 3, 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that is slow with black pictures, and refuses for want of room alone."""
    settings = {
        "GATEWATCH_MAX_BODY_BYTES": str(MOST // 2),
        "GATEWATCH_QUEUE_BYTES": str(MOST),
        "GATEWATCH_QUEUE_SECONDS": "1000",
        "GATEWATCH_MAX_COMPRESSION_RATIO": "2000",
    }
    with Server(tmp_path / "data", settings, STUB).serving() as server:
        create(server.client, NAME, scorer="gaussian")
        server.upload(NAME, "fit", [picture(n) for n in range(40)])
        server.upload(NAME, "calibrate", [picture(1000 + n) for n in range(39)])
        yield server


def black(number: int) -> bytes:
    """Return a zip file of some kilobytes that unpacks to 9 MB, which takes more than a second."""
    pixels = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    pixels[0, 0] = number % 5
    return zipped([(f"{at}.bmp", encode(pixels, "BMP")) for at in range(IMAGES)])


def sizes(folder: Path) -> dict[Path, int]:
    """Return the bytes of each file below a folder, whose files come and go."""
    found = {}
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(FileNotFoundError):
                found[Path(place) / file] = (Path(place) / file).stat().st_size
    return found


def held(folder: Path) -> int:
    """Return the bytes that all files below a folder had at one moment, or less.

    It is that between two looks: of files that only grow, those are whole that both have seen.
    """
    before, after = sizes(folder), sizes(folder)
    return sum(min(size, after.get(path, 0)) for path, size in before.items())


def test_many_zip_files_at_once_hold_no_more_than_there_is_room_for(server: Server) -> None:
    """Contract: who unpacks beyond it is told to come again, does, and is answered in the end."""
    refused, most, ended = 0, 0, threading.Event()

    def send(number: int) -> list[dict[str, Any]]:
        nonlocal refused
        deadline = time.monotonic() + 120
        with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
            while True:
                path = f"/v1/detectors/{NAME}/score"
                headers = {"content-type": ZIP}
                answer = client.post(path, content=black(number), headers=headers)
                if answer.status_code == 200:
                    return list(answer.json()["results"])
                assert answer.status_code == 503, answer.text
                assert "free ones: repeat the request later" in answer.text
                assert int(answer.headers["retry-after"]) >= 1
                assert time.monotonic() < deadline
                refused += 1
                time.sleep(0.2)

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.01):
            most = max(most, held(server.directory / "incoming"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(send, range(CLIENTS)))
    finally:
        ended.set()
        watching.join()
    assert [len(results) for results in answers] == [IMAGES] * CLIENTS
    assert all(result["problem"] is None for results in answers for result in results)
    assert refused > 0
    assert MOST / 3 < most <= MOST + SLACK
    assert server.metrics()["gatewatch_admitted_bytes"].value == 0
