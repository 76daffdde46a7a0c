"""What watching drift costs the service: images scored per second with it on, and with it off.

    python -m benchmarks.drift_service [--rounds 20] [--images 512]

Two services in one process share a backbone, one watches. They score the same photographs of noise
in turn, new ones in each round, so that whatever else the machine does meets both; the medians of
all rounds are compared: of images per second, of images per second of CPU time, which others
disturb less, and of what the process has written. Writing the history is part of both; taking in
and keeping the drift state and testing windows are part of the one, to the end of each round: short
rounds make more of that end than a service that goes on. Linux only.
"""

import argparse
import asyncio
import io
import statistics
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.images.sources import Upload, from_bytes
from app.intake.local_images import LocalImages
from app.learning import calibrating, fitting
from app.learning.order import Order
from app.lines import Line
from app.main import open_storage
from app.service import Service
from app.settings import Settings
from app.storage.audit import By
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.spec import DEFAULT_IMAGE_SIZE

NAME, SIDE_PX, LEARNT = "watched", 256, 400
BY = By("benchmark")


def photographs(directory: Path, count: int) -> list[Path]:
    """Write as many JPEG files of smooth noise."""
    paths = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        small = rng.integers(60, 200, (16, 16, 3), dtype=np.uint8)
        held = io.BytesIO()
        picture = Image.fromarray(small).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
        picture.save(held, "JPEG", quality=90)
        path = directory / f"{seed:04d}.jpg"
        path.write_bytes(held.getvalue())
        paths.append(path)
    return paths


async def learn(service: Service, files: Sequence[Path]) -> None:
    """Fit and calibrate a detector."""
    service.catalogue.create(NAME, BY)
    half = len(files) // 2
    fitted, held_out = LocalImages.of(files[:half]), LocalImages.of(files[half:])
    await fitting.fit(service, NAME, fitted, Order(BY, uuid.uuid4().hex), extend=False)
    await calibrating.calibrate(service, NAME, held_out, Order(BY, uuid.uuid4().hex), Line())


async def speeds(service: Service, contents: Sequence[bytes]) -> tuple[float, float, float]:
    """Return how fast pictures are scored, and what is written, until all of it is kept."""
    upload = Upload([from_bytes(str(i), content) for i, content in enumerate(contents)])
    started_s, worked_s, wrote = time.perf_counter(), time.process_time(), written_bytes()
    await service.score(NAME, upload)
    await service.history.flush()
    await service.drift.settle()  # else it would be paid in the other one's time
    wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - worked_s
    count = len(contents)
    return count / wall_s, count / cpu_s, (written_bytes() - wrote) / count


def written_bytes() -> int:
    """Return what this process has given the system to write (Linux only)."""
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counted["wchar"])


async def measure(
    directory: Path, rounds: int, images: int
) -> dict[bool, list[tuple[float, float, float]]]:
    """Return images per second and what they wrote, of each round, with and without watching."""
    embedder = Embedder.load(device="cpu", engine="auto", cache=directory / "engines")
    embedder.warm(DEFAULT_IMAGE_SIZE, wait=True)
    files = photographs(directory, LEARNT + images * (rounds + 1))
    sent = [path.read_bytes() for path in files[LEARNT:]]
    found: dict[bool, list[tuple[float, float, float]]] = {True: [], False: []}
    async with AsyncExitStack() as stack:
        services = {}
        for on in found:
            settings = Settings(
                data_dir=directory / str(on), drift_false_alarm_images=10_000 if on else 0
            )
            service = Service(settings, embedder, open_storage(settings), Telemetry())
            services[on] = await stack.enter_async_context(service)
            await learn(service, files[:LEARNT])
        for place in tqdm(range(rounds + 1), unit="round"):
            contents = sent[place * images : (place + 1) * images]
            for on in (True, False) if place % 2 else (False, True):
                one = await speeds(services[on], contents)
                if place:  # the first is not like the others
                    found[on].append(one)
        told = await services[True].drift.show(NAME)
        assert told.images == (rounds + 1) * images, told
    return found


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_service", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--images", type=int, default=512)
    options = parser.parse_args()
    threadpool_limits(1, user_api="blas")
    with TemporaryDirectory() as directory:
        found = asyncio.run(measure(Path(directory), options.rounds, options.images))
    for place, unit in enumerate(("images/s", "images per second of CPU time")):
        on, off = (statistics.median(each[place] for each in found[kind]) for kind in (True, False))
        print(f"{on:.1f} {unit} watched, {off:.1f} not: {on / off:.1%}")
    kb = [statistics.median(each[2] for each in found[kind]) / 1e3 for kind in (True, False)]
    print("{:.1f} kB written an image watched, {:.1f} not".format(*kb))


if __name__ == "__main__":
    main()
