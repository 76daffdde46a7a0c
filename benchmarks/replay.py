"""How long a replay takes, and what memory: docs/replay.md's measurement.

    python -m benchmarks.replay PICTURES DIRECTORY [--images 100000] [--pictures 240]

The default detector is fitted to a half of the pictures, calibrated on a quarter and extended by
the last quarter to another version. The rows of all of them, each with 1 % of every channel's
spread as jitter, are written as so many scored images of thirty days, about 100 kB each, into a
folder of DIRECTORY that is removed at the end. Memory is the highest resident set of the process
(VmHWM), which the network fills, during a replay of all, and of the first tenth for comparison.
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from app.clock import now
from app.intake.local_images import LocalImages, files_in
from app.learning import calibrating, fitting
from app.learning.order import Order
from app.lines import Line
from app.main import create_service
from app.past.rejudging import word
from app.past.replay import replay
from app.service import Service
from app.settings import Settings
from app.storage.audit import By
from app.storage.history import ScoredImage
from app.storage.version_reader import Stored
from detector.rows import Rows

NAME, CHUNK_IMAGES, DAYS = "replayed", 64, 30
JITTER = 0.01
MIB = 2**20
BY = By("benchmark")


async def _learned(service: Service, files: Sequence[Path]) -> tuple[Stored, Rows]:
    """Return the version in service, and the rows of all pictures."""
    half, rest = len(files) // 2, len(files) * 3 // 4
    parts = {"fit": files[:half], "calibrate": files[half:rest], "extend": files[rest:]}
    service.catalogue.create(NAME, BY)
    with tqdm(total=len(files), unit="image", desc="learn") as bar:

        def order() -> Order:
            return Order(BY, uuid.uuid4().hex, progress=bar.update)

        images = {kind: LocalImages.of(part) for kind, part in parts.items()}
        await fitting.fit(service, NAME, images["fit"], order(), extend=False)
        await calibrating.calibrate(service, NAME, images["calibrate"], order(), Line())
        await fitting.fit(service, NAME, images["extend"], order(), extend=True)
    versions, last = service.storage.versions, service.catalogue.get(NAME, 4)
    known = [*versions.images(last.entry), *versions.calibration_images(last.entry)]
    rows = [part async for _, part in fitting.rows_of(service, known)]
    whole = Rows.concatenate([part.without_pixels() for part in rows])
    return service.catalogue.get(NAME, 3), whole


def _write(service: Service, stored: Stored, real: Rows, images: int) -> None:
    """Write the past: jittered rows and what the version in service says of them."""
    rng = np.random.default_rng(0)
    detector, backbone = stored.detector, stored.detector.spec.backbone_fingerprint
    line = detector.require_threshold()
    spread = {name: JITTER * part.std(axis=0) for name, part in real.blocks.items()}
    begin, step = now() - timedelta(days=DAYS), timedelta(days=DAYS) / images
    with tqdm(total=images, unit="image", desc="write") as bar:
        for start in range(0, images, CHUNK_IMAGES):
            count = min(CHUNK_IMAGES, images - start)
            which = rng.integers(len(real), size=count)
            rows = Rows(
                {
                    name: part[which]
                    + spread[name] * rng.standard_normal(part[which].shape, np.float32)
                    for name, part in real.blocks.items()
                }
            )
            said = [
                ScoredImage(
                    uuid.uuid4().hex,
                    stored.entry.id,
                    detector.version,
                    begin + (start + place) * step,
                    f"{start + place}.jpg",
                    "",
                    f"{start + place:064x}",
                    float(score),
                    line.value,
                    None,
                    word(line, float(score), ""),
                    "",
                    place,
                )
                for place, score in enumerate(detector.scores(rows))
            ]
            service.history.kept.write(backbone, said, rows)
            bar.update(count)


async def _measured(service: Service, what: str, images: int, **asked: Any) -> str:
    """Return the line of the table for one replay."""
    first = service.history.kept.chunks(service.storage.versions.entry(NAME).id)[0].first_at
    _, few_bytes, _ = await _one(service, until=first + timedelta(days=DAYS) / 10, **asked)
    judged, peak_bytes, seconds = await _one(service, **asked)
    assert judged == images
    return (
        f"| {what} | {seconds:.1f} s | {judged / seconds:,.0f} | {peak_bytes / MIB:.0f} MiB "
        f"| {few_bytes / MIB:.0f} MiB |"
    )


async def _one(service: Service, **asked: Any) -> tuple[int, int, float]:
    """Return how many images a replay judged, the highest memory in bytes, and its time."""
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    started_s = time.perf_counter()
    with tqdm(unit="image", desc=str(asked.get("scorer") or asked.get("version") or "")) as bar:
        found = await replay(service, NAME, progress=bar.update, **asked)
    return found.images, _status("VmHWM"), time.perf_counter() - started_s


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{key}:"))) * 1024


async def _run(directory: Path, files: Sequence[Path], images: int) -> None:
    settings = Settings(data_dir=directory, device="cpu", history_bytes=2**50, history_days=365)
    async with create_service(settings) as service:
        stored, real = await _learned(service, files)
        started_s = time.perf_counter()
        await asyncio.to_thread(_write, service, stored, real, images)
        chunks = service.history.kept.chunks(stored.entry.id)
        size = sum(chunk.size_bytes for chunk in chunks)
        print(
            f"{images} images written in {time.perf_counter() - started_s:.0f} s: "
            f"{size / 1e9:.2f} GB, {size / images / 1e3:.1f} kB each; "
            f"the process holds {_status('VmRSS') / MIB:.0f} MiB"
        )
        target = Line("conformal", {"target": 0.1})
        replays: dict[str, dict[str, Any]] = {
            "another target": {"threshold": target},
            "another version": {"version": 4},
            "scorer `regional` and another target": {"scorer": "regional", "threshold": target},
            "scorer `gaussian` and another target": {"scorer": "gaussian", "threshold": target},
        }
        lines = [await _measured(service, what, images, **asked) for what, asked in replays.items()]
    print("\n| replay by | time | images/s | highest memory | of a tenth |\n|---|---|---|---|---|")
    print("\n".join(lines))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="PICTURES", help="pictures of one kind")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="with enough room")
    parser.add_argument("--images", type=int, default=100_000, help="stored rows")
    parser.add_argument("--pictures", type=int, default=240, help="real ones behind them")
    asked = parser.parse_args()
    files = files_in(asked.folder)
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, asked.pictures).astype(int)]
    with TemporaryDirectory(dir=asked.directory, prefix="replay-") as directory:
        asyncio.run(_run(Path(directory), chosen, asked.images))


if __name__ == "__main__":
    main()
