"""What is claimed of the service: ratios of the figures of one round, and what each should be."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.serving import soak
from benchmarks.serving.figures import Figures, Summary, as_figures, medians, ratio
from benchmarks.serving.peers import PEERS
from benchmarks.serving.rounds import CLIENTS, SHARES

Found = Mapping[str, Figures]
Value = Callable[[Found], float | None]
MOST_GROWN_MIB = 64
"""Of some thousand small pictures that wait, and what the allocator keeps of them."""
MOST_GROWN_MIB_A_MINUTE = 1
"""Of noise: what leaks a kilobyte a refusal grows by tens."""

HALF, FLOOD = f"open {SHARES[0]:.0%}", f"open {SHARES[-1]:.0%}"
IDLE = f"closed {CLIENTS[0]}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A ratio of what was found, or another figure, with its bounds if it has any."""

    name: str
    needs: tuple[str, ...]
    """Measurements without which nothing is claimed."""
    value: Value
    least: float | None = None
    most: float | None = None

    @property
    def wanted(self) -> str:
        """What it should be, in words; empty if nothing is wanted of it."""
        bounds = ((">=", self.least), ("<=", self.most))
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim over all rounds that have it; None is of nothing, infinity of what never came."""

    claim: Claim
    median: float | None
    lowest: float | None
    highest: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the median is as wanted; None if nothing is wanted or known."""
        if self.median is None or not self.claim.wanted:
            return None
        least, most = self.claim.least, self.claim.most
        return (least is None or self.median >= least) and (most is None or self.median <= most)


def closed(server: str = "closed") -> tuple[str, ...]:
    """Return the names of a server's closed loops."""
    return tuple(f"{server} {clients}" for clients in CLIENTS)


def capacity(found: Found, server: str = "closed") -> float:
    """Return the images a second of a server at its best number of clients."""
    return max(found[name]["served_per_s"] or 0.0 for name in closed(server))


def judged(rounds: Sequence[Mapping[str, Summary | Figures]]) -> list[Judged]:
    """Return every claim whose parts were measured: of each round by itself, then over rounds."""
    each = [{name: as_figures(part) for name, part in one.items()} for one in rounds]
    results = []
    for claim in claims(medians(rounds)):
        parts = (claim.value(one) for one in each if all(name in one for name in claim.needs))
        values = [value for value in parts if value is not None]
        over = (statistics.median(values), min(values), max(values)) if values else (None,) * 3
        results.append(Judged(claim, *over))
    return results


def claims(found: Found) -> list[Claim]:
    """Return the claims for which something was found."""
    made = [*_of_capacity(), *_of_overload(), *_of_company(), *_of_many(found), *_of_soak(found)]
    return [claim for claim in made if all(name in found for name in claim.needs)]


def _of_capacity() -> list[Claim]:
    return [
        Claim(
            "saturation / limit (cores / sum of stages)",
            (*closed(), "stages"),
            _quotient(capacity, _at("stages", "limit_per_s")),
            least=0.85,
        ),
        Claim(
            "saturation / stages on all cores together",
            (*closed(), "stages"),
            _quotient(capacity, _at("stages", "together_per_s")),
        ),
        *(
            Claim(
                f"saturation / {peer.title}",
                (*closed(), *closed(peer.name)),
                _quotient(capacity, partial(capacity, server=peer.name)),
                least=peer.least,
            )
            for peer in PEERS
        ),
    ]


def _of_overload() -> list[Claim]:
    def at_flood(
        name: str, key: str, least: float | None = None, most: float | None = None
    ) -> Claim:
        return Claim(name, (FLOOD,), _at(FLOOD, key), least, most)

    return [
        Claim(
            "p99 at 50 % / idle latency",
            (HALF, IDLE),
            _quotient(_time(HALF, "p99_ms"), _at(IDLE, "p50_ms")),
            most=4,
        ),
        Claim(
            "served at 1000 % / capacity",
            (FLOOD, *closed()),
            _quotient(_at(FLOOD, "served_per_s"), capacity),
            least=0.85,
        ),
        at_flood("refusals at 1000 %, median, ms", "refusal_p50_ms", most=50),
        at_flood("refusals at 1000 % with Retry-After", "retry_after_share", least=1),
        at_flood("answers at 1000 % that are neither 200 nor 503", "broken", most=0),
        Claim("recovery after 1000 %, s", (FLOOD,), _time(FLOOD, "recovery_s"), most=2),
        at_flood("memory grown at 1000 %, MiB", "rss_growth_mib", most=MOST_GROWN_MIB),
    ]


def _of_company() -> list[Claim]:
    loads = [("one client", f"fit and {IDLE}", IDLE), ("at 50 %", f"fit and {SHARES[0]:.0%}", HALF)]
    return [
        Claim(
            f"p99 beside a fit / without, {load}",
            (fit, alone),
            _quotient(_time(fit, "p99_ms"), _at(alone, "p99_ms")),
            most=2,
        )
        for load, fit, alone in loads
    ]


def _of_many(found: Found) -> list[Claim]:
    return [
        Claim(
            f"{name.removeprefix('many ')}: {part['detectors'] or 0:.0f} detectors / one",
            (name,),
            _at(name, "ratio"),
            most=2,
        )
        for name, part in found.items()
        if name.startswith("many ")
    ]


def _of_soak(found: Found) -> list[Claim]:
    minutes = found.get(soak.NAME, {}).get("minutes") or 0.0
    return [
        Claim(
            f"memory grown a minute, {minutes:g} minutes at 1000 %, MiB",
            (soak.NAME,),
            _at(soak.NAME, "rss_growth_mib_per_minute"),
            most=MOST_GROWN_MIB_A_MINUTE,
        )
    ]


def _at(name: str, key: str) -> Value:
    return lambda found: found[name][key]


def _time(name: str, key: str) -> Value:
    """Return how long something took: for ever if it never came, be it because none was served."""

    def value(found: Found) -> float:
        took = found[name][key]
        return math.inf if took is None else took

    return value


def _quotient(above: Value, below: Value) -> Value:
    return lambda found: ratio(above(found), below(found))
