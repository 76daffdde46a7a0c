"""Costs, errors and clusters as tables."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.scaling import assumptions, cluster
from benchmarks.scaling.cluster import DAY_S, Load
from benchmarks.scaling.costs import SERVER, TERMS, Costs, Measured, error

STATION_WORDS = {
    SERVER: ("server, ms of a core", 1e3),
    "database_s": ("database, ms of a core", 1e3),
    "log_bytes": ("database's log, kB", 1e-3),
    "blob_bytes": ("files, kB", 1e-3),
    "puts": ("files, number", 1.0),
}


def markdown(
    heading: str,
    model: Costs,
    fitted: Mapping[str, Measured],
    predicted: Mapping[str, Measured],
    load: Load,
) -> str:
    """Return the whole report."""
    return "\n".join(
        [
            heading,
            "",
            "### What an image costs",
            "",
            *_costs(model),
            "",
            f"Of its cores a server used {model.utilisation:.0%} at saturation.",
            "",
            "### Predicted and measured",
            "",
            *_predictions(model, fitted, predicted),
            "",
            *_clusters(model, load),
            "",
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table of Markdown."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _costs(model: Costs) -> list[str]:
    rows = []
    for station, (words, unit) in STATION_WORDS.items():
        rows.append([words, *(f"{unit * value:.3g}" for value in model.theta[station])])
    return table(["", *TERMS], rows)


def _predictions(
    model: Costs, fitted: Mapping[str, Measured], predicted: Mapping[str, Measured]
) -> list[str]:
    rows = []
    for used, group in (("yes", fitted), ("no", predicted)):
        for name, each in group.items():
            said = model.images_per_s(each.work, each.cores)
            rows.append(
                [
                    name,
                    used,
                    f"{each.images_per_s:.1f}",
                    f"{said:.1f}",
                    f"{error(model, each):+.0%}",
                ]
            )
    return table(["configuration", "fitted", "images/s", "predicted", "error"], rows)


PARTS = {
    "ways in": ("the way in",),
    "databases": ("the database's log", "the database's cores"),
    "prefixes": ("the bucket's puts",),
}
"""Shared parts that a large cluster needs several of, and what they are called then."""


def _clusters(model: Costs, load: Load) -> list[str]:
    shared, lines = assumptions.SHARED, []
    for node in assumptions.NODES:
        rows = []
        for count in assumptions.COUNTS:
            found = cluster.stations(model, load, node, count, shared)
            own = min(each.images_per_s for each in found if each.name in cluster.NODES)
            needed = _needed(own, found)
            first = found[0]
            rows.append(
                [
                    f"{count:,}",
                    f"{own:,.0f}",
                    first.name,
                    f"{first.images_per_s:,.0f}",
                    *(f"{needed[name]:,}" for name in PARTS),
                ]
            )
        head = ["nodes", "images/s they can do", "full first", "at images/s"]
        lines += [f"### {node.name}", ""]
        lines += table([*head, *(f"{name} for all" for name in PARTS)], rows)
        lines += ["", *_a_day(model, load, node), ""]
    return lines


def _needed(images_per_s: float, found: Sequence[cluster.Station]) -> dict[str, int]:
    needed = cluster.shares(images_per_s, found)
    return {name: max(needed[each] for each in parts) for name, parts in PARTS.items()}


def _a_day(model: Costs, load: Load, node: cluster.Node) -> list[str]:
    rate = assumptions.IMAGES_PER_DAY / DAY_S
    count = cluster.nodes_for(rate, model, load, node, assumptions.SHARED)
    found = cluster.stations(model, load, node, count, assumptions.SHARED)
    needed = _needed(rate, found)
    databases = needed["databases"]
    cost = cluster.bill(
        assumptions.IMAGES_PER_DAY, count, databases, model, load, node, assumptions.SHARED
    )
    parts = ", ".join(f"{name} {number}" for name, number in needed.items())
    day = f"{assumptions.IMAGES_PER_DAY:,.0f} images a day are {rate:,.0f} a second"
    return [
        f"{day}: nodes {count:,}, {parts};",
        f"{cost.whole:,.0f} dollars a day (nodes {cost.nodes:,.0f}, databases "
        f"{cost.databases:,.0f}, files {cost.files:,.0f}).",
    ]
