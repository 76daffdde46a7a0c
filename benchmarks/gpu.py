"""The backbone on a GPU, from one picture to 512 at a time, and the machine around it.

    python -m benchmarks.gpu [--backbone se-lite0] [--side 256] [--processes 1 2 4] [--cpu]

Prints one table, images a second. First, by batch, from prepared pixels in the computer's memory to
taps there, medians of passes: eager torch in float32 and in bfloat16 (channels last both), recorded
passes (CUDA graphs) in both, torch.compile in bfloat16, and the copy of the pixels alone. Then,
from JPEG bytes to embeddings as the service makes them, decoding threads shared out among several
processes. Pictures are noise over a gradient: their content changes decoding only.

Without a GPU it says so and ends; with ``--cpu`` small sizes run on the CPU, so that the script
itself can be tried: such figures mean nothing.
"""

import argparse
import datetime
import io
import multiprocessing
import platform
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from detector import imaging
from detector.embedder import Embedder
from models import cuda_engine
from models.backbone import BACKBONES
from models.cuda_engine import CudaEngine
from models.engines import Engine, TorchEngine
from models.precision import computing
from models.taps import Taps, Watch, from_names, to_names

CAMERA = (640, 480)
"""Width and height of the JPEG pictures."""
BATCH, DISTINCT = 32, 64
"""From end to end: pictures a pass, and different pictures."""


class Compiled(TorchEngine):
    """torch.compile of the network and its taps together, once a batch size."""

    def __init__(self, *network: Any) -> None:
        super().__init__(*network)
        torch.compiler.reset()
        self._compiled = torch.compile(lambda x: to_names(self._tapped(x)), dynamic=False)

    def _run(self, *inputs: Tensor, weights: Tensor | None, watch: Watch | None = None) -> Taps:
        with computing(self._precision, self._device):
            return from_names(self._compiled(*inputs))


def unrecorded(
    run: Callable[[], dict[str, Tensor]],
) -> tuple[Callable[[], None], dict[str, Tensor]]:
    """Stand in for the recording of a pass where there is no CUDA."""
    outputs = run()

    def play() -> None:
        for name, held in run().items():
            outputs[name].copy_(held)

    return play, outputs


def engines(name: str, device: torch.device) -> dict[str, Callable[[], Engine]]:
    """Return what makes each engine; each has a network of its own, for taps stay on it."""

    def recorded(precision: Any) -> Engine:
        recorder = None if device.type == "cuda" else unrecorded
        return CudaEngine(*BACKBONES[name](None), device, precision, recorder)

    return {
        "eager float32": lambda: TorchEngine(*BACKBONES[name](None), device, "float32"),
        "eager bfloat16": lambda: TorchEngine(*BACKBONES[name](None), device, "bfloat16"),
        "recorded float32": lambda: recorded("float32"),
        "recorded bfloat16": lambda: recorded("bfloat16"),
        "compiled bfloat16": lambda: Compiled(*BACKBONES[name](None), device, "bfloat16"),
    }


def rate(run: Callable[[], object], count: int, seconds: float) -> float:
    """Return images a second: the median of passes for so long, at least three."""
    for _ in range(3):  # what is chosen, compiled and recorded at first is not measured
        run()
    times_s: list[float] = []
    end_s = time.perf_counter() + seconds
    while len(times_s) < 3 or time.perf_counter() < end_s:
        started_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - started_s)
    return count / statistics.median(times_s)


def by_batch(options: argparse.Namespace, device: torch.device) -> list[str]:
    """Return the lines of every engine, a column a batch size."""
    rng, lines = np.random.default_rng(0), []
    size = (options.batches[-1], 3, options.side, options.side)
    samples = list(rng.integers(0, 256, size=size, dtype=np.uint8))
    for name, make in tqdm(engines(options.backbone, device).items(), unit="engine"):
        if name.split()[0] in options.skip:
            continue
        engine, cells = make(), []
        for batch in options.batches:
            run = partial(embedded, engine, samples[:batch])
            try:
                cells.append(f"{rate(run, batch, options.seconds):,.0f}")
            except Exception as error:  # out of memory, no compiler: the rest is still of use
                tqdm.write(f"{name}, batch {batch}: {type(error).__name__}: {error}"[:300])
                cells.append("-")
        del engine, run
        lines.append(line(name, cells))
    return [*lines, line("copy of pixels", copies(samples, options, device))]


def embedded(engine: Engine, samples: Sequence[np.ndarray]) -> list[Tensor]:
    """Return all taps in the computer's memory, which waits for the device."""
    return [held.cpu() for held in to_names(engine.embed(samples)).values()]


def copies(
    samples: Sequence[np.ndarray], options: argparse.Namespace, device: torch.device
) -> list[str]:
    """Return the rate of copies from pinned memory."""
    cells = []
    for batch in options.batches:
        pixels = torch.from_numpy(np.stack(samples[:batch]))
        if device.type == "cuda":
            pixels = pixels.pin_memory()

        def copy(pixels: Tensor = pixels) -> None:
            pixels.to(device, non_blocking=True, copy=True)
            if device.type == "cuda":
                torch.cuda.synchronize()

        cells.append(f"{rate(copy, batch, options.seconds):,.0f}")
    return cells


def pictures() -> list[bytes]:
    """Return JPEG files."""
    rng, made = np.random.default_rng(0), []
    slope = np.linspace(0, 200, CAMERA[0])[None, :, None]
    for _ in range(DISTINCT):
        noise = rng.normal(20, 8, (CAMERA[1], CAMERA[0], 3))
        file = io.BytesIO()
        pixels = np.clip(slope + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def serve(options: argparse.Namespace, decoders: int, start: Barrier, rates: Any) -> None:
    """Decode and embed for some seconds in this process; put images a second into ``rates``."""
    torch.set_num_threads(1)
    device = "cpu" if options.cpu else "cuda"
    embedder = Embedder.load(options.backbone, device, engine="torch", precision=options.precision)
    files, side = pictures(), options.side

    def prepared(index: int) -> np.ndarray:
        content = files[index % DISTINCT]
        pixels = imaging.decode(content, max_pixels=10**8, min_side=1, side_px=side)
        return embedder.prepare(pixels, side)

    batch = 4 if options.cpu else BATCH
    embedder.embed([prepared(index) for index in range(batch)])
    with ThreadPoolExecutor(decoders) as pool:
        start.wait()
        begun_s = time.perf_counter()
        ahead = deque(pool.submit(prepared, index) for index in range(4 * batch))
        done = 0
        while time.perf_counter() - begun_s < 10 * options.seconds:
            embedder.embed([ahead.popleft().result() for _ in range(batch)])
            ahead.extend(pool.submit(prepared, done + index) for index in range(batch))
            done += batch
        rates.put(done / (time.perf_counter() - begun_s))
        pool.shutdown(cancel_futures=True)


def end_to_end(options: argparse.Namespace, processes: int) -> float:
    """Return images a second of so many processes together."""
    context = multiprocessing.get_context("spawn")
    start, rates = context.Barrier(processes), context.Queue()
    share = max(1, options.decoders // processes)
    workers = [
        context.Process(target=serve, args=(options, share, start, rates), daemon=True)
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    total = sum(rates.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


def line(name: str, cells: Sequence[object]) -> str:
    """Return a line of the table."""
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backbone", default="se-lite0", choices=list(BACKBONES))
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batches", type=int, nargs="+", default=[2**n for n in range(10)])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each figure")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--decoders", type=int, default=16, help="threads of all processes")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--skip", nargs="*", default=[], choices=["eager", "recorded", "compiled"])
    parser.add_argument("--cpu", action="store_true", help="try the script: small, on the CPU")
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        print("no CUDA device here: nothing is measured (--cpu tries the script itself)")
        return
    if options.cpu:
        options.side, options.batches, options.seconds = 64, [1, 2], 0.1
        options.processes, options.decoders = [1, 2], 2
    device = torch.device("cpu" if options.cpu else "cuda")
    what = platform.processor() or "CPU" if options.cpu else torch.cuda.get_device_name()
    options.batches.sort()
    cuda_engine.BUCKETS = tuple(options.batches)  # the service's end at 64
    table = [line("images/s, batch", options.batches), "|---" * (len(options.batches) + 1) + "|"]
    table += by_batch(options, device)
    blank = [""] * (len(options.batches) - 1)
    for processes in options.processes:
        name = f"JPEG to rows, {processes} processes, {options.precision}"
        table.append(line(name, [f"{end_to_end(options, processes):,.0f}", *blank]))
    print(f"{options.backbone}, {options.side} px, JPEG {CAMERA[0]} x {CAMERA[1]}, {what}")
    print(f"{datetime.date.today()}, torch {torch.__version__}, CUDA {torch.version.cuda}\n")
    print("\n".join(table))


if __name__ == "__main__":
    main()
