"""From samples to figures: rates, percentiles, refusals, recovery, medians over rounds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.serving.load import Measured, Sample

OK, OVERLOADED = 200, 503
WARM = 0.1
"""The first part of a load that is left out: queues fill, threads wake up."""

RECOVERY = "recovery_s"

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Summary:
    """One load; rates a second, latencies of what was served in milliseconds."""

    offered_per_s: float
    served_per_s: float
    refused_per_s: float
    broken: int
    """Requests with neither 200 nor 503."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    refusal_p50_ms: float | None
    retry_after_share: float | None
    """Of the refusals, those that say when to come again."""
    connections: int
    """The most that were open: a server that stalls gathers them, and each takes memory."""
    generator_cores: float
    """What the generator itself took of the machine."""
    stolen_cores: float
    """What other machines on the same host took of it."""


def summary(measured: Measured, seconds: float) -> Summary:
    """Return the figures of a load of so many seconds, without its first part.

    Rates count answers in that time, so that those which came later do not flatter; latencies are
    of all requests that fell due in it.
    """
    begin_s = WARM * seconds
    due = [s for s in measured.samples if begin_s <= s.due_s < seconds]
    done = [s for s in measured.samples if begin_s <= s.done_s < seconds]
    length_s = seconds - begin_s
    refused = [s for s in due if s.status == OVERLOADED]
    p50, p95, p99 = percentiles([s for s in due if s.status == OK], (50, 95, 99))
    return Summary(
        offered_per_s=len(due) / length_s,
        served_per_s=sum(s.status == OK for s in done) / length_s,
        refused_per_s=sum(s.status == OVERLOADED for s in done) / length_s,
        broken=sum(s.status not in (OK, OVERLOADED) for s in measured.samples),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        refusal_p50_ms=percentiles(refused, (50,))[0],
        retry_after_share=statistics.fmean(s.has_retry_after for s in refused) if refused else None,
        connections=measured.connections,
        generator_cores=measured.cpu_s / measured.wall_s,
        stolen_cores=measured.stolen_s / measured.wall_s,
    )


def percentiles(samples: Sequence[Sample], ranks: Sequence[float]) -> list[float | None]:
    """Return latencies in milliseconds, interpolated; None of nothing."""
    if not samples:
        return [None] * len(ranks)
    return [float(v) for v in 1e3 * np.percentile([s.took_s for s in samples], ranks)]


def recovery_s(after: Sequence[Sample], end_s: float, calm_s: float) -> float | None:
    """Return the seconds from the end of a load until every request is served in ``calm_s``.

    That is until the first request was sent from which on all were; None if none was.
    """
    since: float | None = None
    for sample in after:
        if sample.status != OK or sample.took_s > calm_s:
            since = None
        elif since is None:
            since = sample.due_s - end_s
    return since


def medians(rounds: Sequence[Mapping[str, Summary | Figures]]) -> dict[str, Figures]:
    """Return, for every measurement, the median of each figure over the rounds that have it.

    A round that never recovered counts as one that took for ever; None is a median of for ever.
    """
    found: dict[str, Figures] = {}
    for name in dict.fromkeys(name for one in rounds for name in one):
        parts = [as_figures(one[name]) for one in rounds if name in one]
        found[name] = {}
        for figure in parts[0]:
            missing = math.inf if figure == RECOVERY else None
            all_values = (missing if part[figure] is None else part[figure] for part in parts)
            values = [value for value in all_values if value is not None]
            middle = statistics.median(values) if values else math.inf
            found[name][figure] = middle if math.isfinite(middle) else None
    return found


def growth_per_minute(seen: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of amounts over times in seconds, by least squares, per minute.

    Of the second half only: the first fills queues and pools. None of fewer than two times.
    """
    if not seen:
        return None
    half_s = (seen[0][0] + seen[-1][0]) / 2
    later = np.array([(at_s, amount) for at_s, amount in seen if at_s >= half_s])
    if len(later) < 2:
        return None
    at_s, amount = (later - later.mean(0)).T
    return float(60 * (at_s @ amount) / (at_s @ at_s))


def as_figures(part: "Summary | Figures") -> Figures:
    """Return the figures by name."""
    return asdict(part) if isinstance(part, Summary) else part


def ratio(above: float | None, below: float | None) -> float | None:
    """Return a quotient; None of nothing, and of zero."""
    return None if above is None or not below else above / below
