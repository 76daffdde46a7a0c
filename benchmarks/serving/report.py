"""The figures as tables in Markdown, and the ratios that matter."""

from collections.abc import Mapping

from benchmarks.serving import soak
from benchmarks.serving.figures import Figures, ratio
from benchmarks.serving.rounds import CLIENTS, SHARES

Medians = Mapping[str, Figures]
MOST_GROWN_MIB = 64
"""Of some thousand small pictures that wait, and what the allocator keeps of them."""
MOST_GROWN_MIB_A_MINUTE = 1
"""Of noise: what leaks a kilobyte a refusal grows by tens."""


def capacity(found: Medians, server: str = "closed") -> float:
    """Return the images a second of a server at its best number of clients."""
    return max(found[f"{server} {clients}"]["served_per_s"] or 0.0 for clients in CLIENTS)


def ratios(found: Medians) -> dict[str, tuple[float | None, str]]:
    """Return what is claimed of the service: the ratio, and what it should be."""
    stages, half = found["stages"], found[f"open {SHARES[0]:.0%}"]
    ours, flood = capacity(found), found[f"open {SHARES[-1]:.0%}"]
    idle = found["closed 1"]
    return {
        "saturation / limit (cores / sum of stages)": (
            ratio(ours, stages["limit_per_s"]),
            ">= 0.85",
        ),
        "saturation / stages on all cores together": (ratio(ours, stages["together_per_s"]), ""),
        "saturation / plain FastAPI and torch": (ratio(ours, capacity(found, "plain")), ">= 2"),
        "p99 at 50 % / idle latency": (ratio(half["p99_ms"], idle["p50_ms"]), "<= 4"),
        "served at 1000 % / capacity": (ratio(flood["served_per_s"], ours), ">= 0.85"),
        "refusals at 1000 %, median, ms": (flood["refusal_p50_ms"], "<= 50"),
        "refusals at 1000 % with Retry-After": (flood["retry_after_share"], "1"),
        "answers at 1000 % that are neither 200 nor 503": (flood["broken"], "0"),
        "recovery after 1000 %, s": (flood["recovery_s"], "<= 2"),
        "memory grown at 1000 %, MiB": (flood["rss_growth_mib"], f"<= {MOST_GROWN_MIB}"),
        **(
            {
                f"memory grown a minute, {found[soak.NAME]['minutes']:g} minutes at 1000 %, MiB": (
                    found[soak.NAME]["rss_growth_mib_per_minute"],
                    f"<= {MOST_GROWN_MIB_A_MINUTE}",
                )
            }
            if soak.NAME in found
            else {}
        ),
        "p99 beside a fit / without, one client": (
            ratio(found["fit and closed 1"]["p99_ms"], idle["p99_ms"]),
            "<= 2",
        ),
        "p99 beside a fit / without, at 50 %": (
            ratio(found[f"fit and {SHARES[0]:.0%}"]["p99_ms"], half["p99_ms"]),
            "<= 2",
        ),
        **{
            f"{name.removeprefix('many ')}: {part['detectors'] or 0:.0f} detectors / one": (
                part["ratio"],
                "< 2",
            )
            for name, part in found.items()
            if name.startswith("many ")
        },
    }


def markdown(found: Medians, heading: str) -> str:
    """Return all tables."""
    stages = found["stages"]
    kinds = ("closed", "plain", "open", "fit", soak.NAME)
    loads = [name for name in found if name.startswith(kinds)]
    columns = {
        "served_per_s": "served/s",
        "refused_per_s": "refused/s",
        "p50_ms": "p50, ms",
        "p95_ms": "p95, ms",
        "p99_ms": "p99, ms",
        "refusal_p50_ms": "refusal, ms",
        "retry_after_share": "Retry-After",
        "broken": "broken",
        "recovery_s": "recovery, s",
        "rss_growth_mib": "memory, MiB",
        "server_ms": "CPU an image, ms",
        "generator_cores": "generator, cores",
    }
    return "\n".join(
        [
            f"# Serving under load\n\n{heading}\n",
            *_table(("", "measured", "wanted")),
            *(
                f"| {name} | {_cell(value)} | {wish} |"
                for name, (value, wish) in ratios(found).items()
            ),
            "",
            *_table(("load", *columns.values())),
            *(
                f"| {name} | " + " | ".join(_cell(found[name].get(key)) for key in columns) + " |"
                for name in loads
            ),
            "",
            *_table(("stage", "measured")),
            *(f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in stages.items()),
            "",
        ]
    )


def _table(headings: tuple[str, ...]) -> list[str]:
    return ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.3g}"
