"""All that is measured of a machine, in order, and what follows from it."""

import os
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from app.doctor import advice, engines, loopback, others, pictures
from app.doctor.advice import Advice, Costs, Point, Roof
from app.doctor.loopback import Load
from app.settings import Settings
from detector.detector import Detector
from detector.embedder import Embedder, EngineChoice
from detector.errors import BackboneError
from detector.spec import DEFAULT_IMAGE_SIZE

FITTED = 24
"""Pictures that the default detector is fitted to."""
CALL_S = 0.5
"""How long a call is repeated to be timed."""
CLIENTS_A_CORE = 4

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured, and what follows."""

    cores: int
    device: str
    points: Sequence[Point]
    missing: Mapping[str, str]
    """Engines that are not to be had, and why."""
    costs: Mapping[str, Costs]
    """Of each kind of picture."""
    roofs: Mapping[str, Roof]
    load: Load
    """With the recommended settings, on the first kind of picture."""
    advice: Sequence[Advice]
    others: Mapping[str, float]
    """What others took of the cores while each step was measured; empty where it is not known."""


def examine(settings: Settings, say: Say) -> Found:
    """Measure; ``say`` is told what comes next.

    Nothing is read from or written to the settings' data directory but the engines' graphs, and
    those only if it is there.

    Raises:
        BackboneError: if the backbone runs on no engine here.
    """
    watch = others.Watch(usable_cores())

    def begin(step: str) -> None:
        watch.begin(step)
        say(step)

    with TemporaryDirectory(prefix="gatewatch-doctor-") as folder, _graphs(settings) as cache:
        files = pictures.kinds()
        first, cores = next(iter(files.values())), len(usable_cores())
        points, missing = _engines(settings, cache, first, cores, begin)
        if not points:
            raise BackboneError("; ".join(f"{name}: {why}" for name, why in missing.items()))
        chosen = advice.best(points)
        engine = cast(EngineChoice, chosen.engine)
        begin("decode")
        embedder = engines.load(engine, chosen.threads, settings, cache)
        on_cpu = embedder.device == "cpu"
        decode_s = {kind: _seconds(_decoding(f, settings, embedder)) for kind, f in files.items()}
        ours = settings.model_copy(
            update={
                "host": "127.0.0.1",
                "data_dir": Path(folder, "data"),
                "database": None,
                "bucket": None,
                "max_batch": chosen.batch,
                "decode_threads": max(2, cores),
            }
        )
        with loopback.running(ours, embedder) as served:
            begin("judge")
            served.fit(_pictures(Path(folder)))
            detector = served.service.catalogue.get(loopback.NAME).detector
            judge_s = _seconds(_judging(detector, embedder, first, settings))
            begin("http")
            costs = {
                kind: Costs(decode_s[kind], judge_s, served.http_s(file), chosen.images_per_s)
                for kind, file in files.items()
            }
            begin("load")
            load = served.load(first, CLIENTS_A_CORE * cores)
            watch.end()
        roofs = {kind: advice.roof(cost, cores, on_cpu=on_cpu) for kind, cost in costs.items()}
        wise = advice.recommend(points, list(costs.values()), cores, on_cpu=on_cpu)
        return Found(
            cores=cores,
            device=embedder.device,
            points=points,
            missing=missing,
            costs=costs,
            roofs=roofs,
            load=load,
            advice=wise,
            others=watch.shares,
        )


def steps() -> int:
    """Return how often ``examine`` says something."""
    return len(engines.ENGINES) + 4


def usable_cores() -> Collection[int]:
    """Return the numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _engines(
    settings: Settings, cache: Path, content: bytes, cores: int, say: Say
) -> tuple[list[Point], dict[str, str]]:
    points: list[Point] = []
    missing: dict[str, str] = {}
    for engine in engines.ENGINES:
        say(engine)
        try:
            points += engines.measured(engine, content, settings, cache, cores)
        except BackboneError as error:
            missing[engine] = str(error)
    return points, missing


@contextmanager
def _graphs(settings: Settings) -> Iterator[Path]:
    """Give the folder of the engines' graphs: the service's, or one for now."""
    if settings.data_dir.is_dir():
        yield settings.data_dir / "engines"
    else:
        with TemporaryDirectory(prefix="gatewatch-doctor-") as folder:
            yield Path(folder)


def _decoding(content: bytes, settings: Settings, embedder: Embedder) -> Callable[[], Any]:
    return lambda: engines.prepared(embedder, content, settings)


def _judging(
    detector: Detector, embedder: Embedder, content: bytes, settings: Settings
) -> Callable[[], Any]:
    embedding = embedder.embed([engines.prepared(embedder, content, settings)])
    return lambda: detector.judge(detector.rows(embedding))


def _pictures(folder: Path) -> list[Path]:
    files = []
    for seed in range(FITTED):
        file = folder / f"{seed}.png"
        side = DEFAULT_IMAGE_SIZE
        file.write_bytes(pictures.png(pictures.picture(side, side, seed)))
        files.append(file)
    return files


def _seconds(call: Callable[[], Any]) -> float:
    """Return the processor seconds of a call: the median of as many as there is time for."""
    call()  # warms it
    times_s: list[float] = []
    end_s = time.perf_counter() + CALL_S
    while not times_s or time.perf_counter() < end_s:
        begun_s = time.process_time()
        call()
        times_s.append(time.process_time() - begun_s)
    return statistics.median(times_s)
