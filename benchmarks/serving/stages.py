"""What the machine could do without HTTP: every stage of a score, by the service's own functions.

    python -m benchmarks.serving.stages PLAN  (as JSON)

In a process of its own, on one thread: decode, prepare, embed (alone, and four at once), judge;
processor seconds an image of each, and images a second of all of them in a row. ``limit`` runs one
such process, then one for each core at the same time: cores share caches and memory, so that the
second says what they can do together.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from app.main import open_storage
from app.settings import Settings
from benchmarks.serving.load import ROOT
from benchmarks.serving.processes import plain_environment
from detector import imaging
from detector.detector import Detector
from detector.embedder import Embedder
from models.cores import cores

STAGES = ("decode", "prepare", "embed", "judge")
BATCH = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """Pictures, a data directory with a fitted detector, and for how long."""

    pictures: list[str]
    data_dir: str
    detector: str
    seconds: float


class Chain:
    """The stages, as the service has them."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(1)
        threadpool_limits(1, user_api="blas")
        self._settings = settings = Settings(data_dir=Path(plan.data_dir))
        self._embedder = Embedder.load(
            threads=1, engine="auto", cache=settings.data_dir / "engines"
        )
        storage = open_storage(settings)
        self._detector: Detector = storage.versions.get(plan.detector).detector
        storage.close()
        self.side_px = self._detector.spec.image_size
        if not self._embedder.warm(self.side_px, wait=True):
            raise SystemExit("this network has no ONNX engine: see the warning above")

    def decode(self, content: bytes) -> imaging.Pixels:
        """Return the pixels of a file."""
        limits = self._settings
        return imaging.decode(
            content,
            max_pixels=limits.max_image_pixels,
            min_side=limits.min_image_side,
            side_px=self.side_px,
        )

    def prepare(self, pixels: imaging.Pixels) -> np.ndarray:
        """Return what the backbone is shown."""
        return self._embedder.prepare(pixels, self.side_px)

    def embed(self, prepared: Any) -> Any:
        """Return the embedding of one prepared picture, or of a list of them."""
        return self._embedder.embed(prepared if isinstance(prepared, list) else [prepared])

    def judge(self, embedding: Any) -> Any:
        """Return the verdict."""
        return self._detector.judge(self._detector.rows(embedding))


def measured(chain: Chain, contents: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Return processor seconds an image of every stage, and images a second of all of them."""
    times_s: dict[str, list[float]] = {name: [] for name in (*STAGES, "embed_4")}

    def timed(name: str, call: Callable[[Any], Any], argument: Any, images: int = 1) -> Any:
        started_s = time.process_time()
        result = call(argument)
        times_s[name].append((time.process_time() - started_s) / images)
        return result

    begun_s, done, apart_s = time.perf_counter(), 0, 0.0
    batch: list[np.ndarray] = []
    while time.perf_counter() < begun_s + seconds or not times_s["embed_4"]:
        value: Any = contents[done % len(contents)]
        for name in STAGES:
            value = timed(name, getattr(chain, name), value)
            if name == "prepare":
                batch.append(value)
        done += 1
        if len(batch) == BATCH:  # beside the row of stages
            before_s = time.perf_counter()
            timed("embed_4", chain.embed, batch, BATCH)
            apart_s += time.perf_counter() - before_s
            batch = []
    per_s = done / (time.perf_counter() - begun_s - apart_s)
    # Means, not medians: a sum of stages is asked for, and rare slow ones belong to it.
    return {f"{k}_s": statistics.fmean(v) for k, v in times_s.items()} | {"images_per_s": per_s}


def limit(plan: Plan) -> dict[str, float | None]:
    """Return the stages of one process alone, and what one for each core do together."""
    alone, *_ = _run(plan, 1)
    together = _run(plan, cores())
    sum_s = sum(alone[f"{name}_s"] for name in STAGES)
    engine_s = statistics.fmean(each["embed_s"] for each in together)
    return {
        **{f"{name}_ms": 1e3 * alone[f"{name}_s"] for name in (*STAGES, "embed_4")},
        "sum_ms": 1e3 * sum_s,
        "limit_per_s": cores() / sum_s,
        "together_per_s": sum(each["images_per_s"] for each in together),
        "forward_alone_per_s": 1 / alone["embed_s"],
        "forward_together_per_s": len(together) / engine_s,
    }


def _run(plan: Plan, count: int) -> list[dict[str, float]]:
    """Run so many processes, which begin to measure when all of them are ready."""
    command = [sys.executable, "-m", "benchmarks.serving.stages", json.dumps(asdict(plan))]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=plain_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(count)
        ]
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a process that measures the stages has ended")
        return [json.loads(out) for out in _go(processes)]


def _go(processes: Sequence["subprocess.Popen[str]"]) -> list[str]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate()[0] for process in processes]


def main() -> None:
    """Get ready, say so, wait for a word, measure."""
    plan = Plan(**json.loads(sys.argv[1]))
    chain = Chain(plan)
    contents = [Path(picture).read_bytes() for picture in plan.pictures]
    measured(chain, contents, 0.0)  # warms the caches
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(measured(chain, contents, plan.seconds)))


if __name__ == "__main__":
    main()
