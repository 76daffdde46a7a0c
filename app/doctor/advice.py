"""From what was measured to a roof, a bottleneck and settings: arithmetic only.

On a CPU the stages of an image share the cores c. With processor seconds d to decode, j to judge
and h for HTTP, and an engine that alone sees E images a second on all cores::

    roof = min(1 / ((d + j + h) / c + 1 / E), 1 / h)

With the engine on a device of its own they do not share, and the slowest decides::

    roof = min(c / (d + j + h), E, 1 / h)

The last term is the event loop, which is one thread.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

NEARLY = 0.95
"""A smaller batch, or fewer threads, with this part of the best rate are preferred."""
Stage = Literal["decode", "engine", "judge", "http", "event loop"]


@dataclass(frozen=True, slots=True)
class Point:
    """One engine at one batch size: the images a second it saw with all of its lanes at work."""

    engine: str
    threads: int
    """Of one pass."""
    lanes: int
    """Passes at the same time."""
    batch: int
    images_per_s: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What an image costs: processor seconds of a core, and the engine's rate on all of them."""

    decode_s: float
    judge_s: float
    http_s: float
    engine_per_s: float


@dataclass(frozen=True, slots=True)
class Roof:
    """Most images a second, what holds it there, and each stage's part of an image's time."""

    images_per_s: float
    bottleneck: Stage
    shares: Mapping[Stage, float]


@dataclass(frozen=True, slots=True)
class Advice:
    """A setting, by the name of its environment variable, and why."""

    variable: str
    value: str
    reason: str


def roof(costs: Costs, cores: int, *, on_cpu: bool) -> Roof:
    """Return the roof; ``on_cpu``: whether the engine shares the cores with the others."""
    parts: dict[Stage, float] = {
        "decode": costs.decode_s / cores,
        "engine": 1 / costs.engine_per_s,
        "judge": costs.judge_s / cores,
        "http": costs.http_s / cores,
    }
    whole = sum(parts.values())
    shares: dict[Stage, float] = {stage: part / whole for stage, part in parts.items()}
    limits: list[tuple[float, Stage]] = [(1 / costs.http_s, "event loop")]
    if not on_cpu:
        limits.append((1 / parts.pop("engine"), "engine"))
    longest = max(parts, key=lambda stage: parts[stage])
    limits.append((1 / sum(parts.values()), longest))
    most, bottleneck = min(limits)
    return Roof(most, bottleneck, shares)


def best(points: Sequence[Point]) -> Point:
    """Return the point to run at: nearly the fastest, then the smallest batch, most lanes.

    A smaller batch answers sooner; passes beside each other lose no time waiting for one another.
    """
    fastest = max(point.images_per_s for point in points)
    near = [point for point in points if point.images_per_s >= NEARLY * fastest]
    return min(near, key=lambda point: (point.batch, point.threads, -point.images_per_s))


def decode_threads(costs: Sequence[Costs], cores: int, *, on_cpu: bool) -> int:
    """Return how many threads decode and judge as fast as the rest goes on, and one to spare.

    That is cores times their part of an image's processor time, for the dearest kind of picture.
    """
    needed = 0.0
    for cost in costs:
        pool_s = cost.decode_s + cost.judge_s
        rate = roof(cost, cores, on_cpu=on_cpu).images_per_s
        needed = max(needed, rate * pool_s)
    return min(max(cores, 2), math.ceil(needed) + 1)


def recommend(
    points: Sequence[Point], costs: Sequence[Costs], cores: int, *, on_cpu: bool
) -> list[Advice]:
    """Return the settings that fit.

    Args:
        points: measured; of every engine there is.
        costs: of every kind of picture, at the best point.
        cores: of the machine.
        on_cpu: whether the engine shares them.
    """
    chosen = best(points)
    fastest = {
        engine: max(point.images_per_s for point in points if point.engine == engine)
        for engine in dict.fromkeys(point.engine for point in points)
    }
    rates = ", ".join(f"{engine} {rate:.0f}" for engine, rate in fastest.items())
    found = [Advice("GATEWATCH_ENGINE", chosen.engine, f"images/s at best: {rates}")]
    if on_cpu:
        layouts = {
            (point.lanes, point.threads): max(
                other.images_per_s
                for other in points
                if (other.engine, other.threads) == (chosen.engine, point.threads)
            )
            for point in points
            if point.engine == chosen.engine
        }
        said = ", ".join(f"{n} x {t}: {rate:.0f}" for (n, t), rate in layouts.items())
        reason = f"images/s of passes at a time x threads of each: {said}"
        found.append(Advice("GATEWATCH_THREADS", str(chosen.threads), reason))
    curve = {
        point.batch: point.images_per_s
        for point in points
        if (point.engine, point.threads) == (chosen.engine, chosen.threads)
    }
    said = ", ".join(f"{batch}: {rate:.0f}" for batch, rate in sorted(curve.items()))
    found.append(Advice("GATEWATCH_MAX_BATCH", str(chosen.batch), f"images/s by batch: {said}"))
    threads = decode_threads(costs, cores, on_cpu=on_cpu)
    pool_ms = 1e3 * max(cost.decode_s + cost.judge_s for cost in costs)
    reason = f"decoding and judging take up to {pool_ms:.1f} ms an image, of {cores} core(s)"
    found.append(Advice("GATEWATCH_DECODE_THREADS", str(threads), reason))
    return found
