"""The figures as tables in Markdown, and the claims with their spread over rounds."""

import math
from collections.abc import Mapping, Sequence

from benchmarks.serving.claims import Judged
from benchmarks.serving.figures import Figures

COLUMNS = {
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
    "connections": "connections",
    "server_ms": "CPU an image, ms",
    "server_cores": "server, cores",
    "generator_cores": "generator, cores",
    "other_cores": "others, cores",
    "stolen_cores": "stolen, cores",
}
VERDICTS = {True: "pass", False: "fail", None: ""}


def as_json(claims: Sequence[Judged]) -> dict[str, dict[str, float | str | bool | None]]:
    """Return the claims by name; what is not finite is None."""
    return {
        one.claim.name: {
            "median": _finite(one.median),
            "lowest": _finite(one.lowest),
            "highest": _finite(one.highest),
            "wanted": one.claim.wanted,
            "passed": one.passed,
        }
        for one in claims
    }


def markdown(
    found: Mapping[str, Figures], claims: Sequence[Judged], heading: str, note: str = ""
) -> str:
    """Return all tables; a note stands below the claims."""
    loads = [(name, part) for name, part in found.items() if "served_per_s" in part]
    lines = [
        f"# Serving under load\n\n{heading}\n",
        *_table(("", "median", "lowest to highest", "wanted", "")),
        *(
            f"| {one.claim.name} | {_cell(one.median)} | {_cell(one.lowest)} to "
            f"{_cell(one.highest)} | {one.claim.wanted} | {VERDICTS[one.passed]} |"
            for one in claims
        ),
        "",
        *([note, ""] if note else []),
        *_table(("load", *COLUMNS.values())),
        *(
            f"| {name} | " + " | ".join(_cell(part.get(key)) for key in COLUMNS) + " |"
            for name, part in loads
        ),
        "",
    ]
    if "stages" in found:
        lines += [
            *_table(("stage", "measured")),
            *(
                f"| {name.replace('_', ' ')} | {_cell(value)} |"
                for name, value in found["stages"].items()
            ),
            "",
        ]
    return "\n".join(lines)


def _table(headings: tuple[str, ...]) -> list[str]:
    return ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    if math.isinf(value):
        return "never"
    return f"{value:.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.3g}"
