"""A service that changes a detector until it is killed, and tells what it was acknowledged."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from http_helpers import encode
from stub_backbone import stub_embedder

from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Telemetry

NAME = "bolts"
SIDE_PX = 64
LEASE_S = 0.5


def picture(seed: int) -> bytes:
    """Return a picture of noise around a colour."""
    rng = np.random.default_rng(seed)
    return encode(rng.integers(90, 160, size=(SIDE_PX, SIDE_PX, 3), dtype=np.uint8), "BMP")


PROBES = [picture(10**6 + i) for i in range(2)]


def live(directory: Path, database: str | None, seed: int, pipe: Connection) -> None:
    """Take up what is unfinished, then change the detector at random, for ever."""
    asyncio.run(_live(directory, database, seed, pipe))


@asynccontextmanager
async def client_of(directory: Path, database: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the whole application, in this process."""
    settings = Settings(data_dir=directory, device="cpu", job_lease_s=LEASE_S)
    storage = Storage.open(directory, database=database)
    app = create_app(settings, Service(settings, stub_embedder(), storage, Telemetry()))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client,
    ):
        yield client


async def settled(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Wait until every job has ended; return them all."""
    while True:
        jobs = (await client.get("/v1/jobs", params={"limit": 1000})).json()["jobs"]
        if all(job["state"] in ("succeeded", "failed", "cancelled") for job in jobs):
            return list(jobs)
        await asyncio.sleep(0.02)


async def scores(client: httpx.AsyncClient, version: int) -> list[float]:
    """Return a version's scores of the probes."""
    files = [("images", (f"{i}.bmp", probe)) for i, probe in enumerate(PROBES)]
    query = {"version": version, "allow_stale": True}
    answer = await client.post(f"/v1/detectors/{NAME}/score", files=files, params=query)
    assert answer.status_code == 200, answer.text
    return [result["score"] for result in answer.json()["results"]]


async def _live(directory: Path, database: str | None, seed: int, pipe: Connection) -> None:
    rng = random.Random(seed)
    async with client_of(directory, database) as client:
        pipe.send(("up", 0, []))
        await settled(client)
        await client.post(
            "/v1/detectors", json={"name": NAME, "image_size": SIDE_PX, "scorer": "fusion"}
        )
        while True:
            known = (await client.get(f"/v1/detectors/{NAME}")).json()
            if known["tip"] < 3:
                verb = "fit"
            else:
                verb = rng.choice(["fit", "extend", "threshold", "threshold", "promote"])
            await globals()[f"_{verb}"](client, rng, known, pipe)


async def _fit(
    client: httpx.AsyncClient,
    rng: random.Random,
    _known: dict[str, Any],
    pipe: Connection,
    mode: str = "replace",
) -> None:
    count = rng.choice([4, 20, 70])
    files = [("images", (f"{i}.bmp", picture(rng.randrange(10**5)))) for i in range(count)]
    query = {"mode": mode, "promote": "always"}
    pipe.send(("begin", 0, []))
    answer = await client.post(f"/v1/detectors/{NAME}/fit", files=files, params=query)
    assert answer.status_code == 202, answer.text
    pipe.send(("job", answer.json()["id"], []))
    while True:
        job = (await client.get(answer.headers["location"])).json()
        if job["state"] == "succeeded":
            break
        assert job["state"] in ("queued", "running"), job
        await asyncio.sleep(0.01)
    version = job["result"]["detector"]["version"]
    pipe.send(("in service", version, []))
    pipe.send(("version", version, await scores(client, version)))


async def _extend(
    client: httpx.AsyncClient, rng: random.Random, known: dict[str, Any], pipe: Connection
) -> None:
    await _fit(client, rng, known, pipe, mode="extend")


async def _threshold(
    client: httpx.AsyncClient, rng: random.Random, _known: dict[str, Any], pipe: Connection
) -> None:
    pipe.send(("begin", 0, []))
    answer = await client.put(
        f"/v1/detectors/{NAME}/threshold",
        json={"method": "manual", "value": rng.random()},
        params={"promote": "always"},
    )
    assert answer.status_code == 200, answer.text
    version = answer.json()["version"]
    pipe.send(("in service", version, []))
    pipe.send(("version", version, await scores(client, version)))


async def _promote(
    client: httpx.AsyncClient, rng: random.Random, known: dict[str, Any], pipe: Connection
) -> None:
    version = rng.randint(2, known["tip"])
    knowingly = {"allow_stale": True, "allow_uncalibrated": True}
    pipe.send(("begin", version, []))
    answer = await client.post(f"/v1/detectors/{NAME}/versions/{version}/promote", params=knowingly)
    assert answer.status_code == 200, answer.text
    pipe.send(("in service", version, []))
