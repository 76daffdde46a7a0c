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


def _clusters(model: Costs, load: Load) -> list[str]:
    shared, lines = assumptions.SHARED, []
    for node in assumptions.NODES:
        rows = []
        for count in assumptions.COUNTS:
            first, second, *_ = cluster.stations(model, load, node, count, shared)
            rows.append(
                [
                    f"{count:,}",
                    f"{first.images_per_s:,.0f}",
                    first.name,
                    f"{second.name} at {second.images_per_s:,.0f}",
                ]
            )
        lines += [f"### {node.name}", ""]
        lines += table(["nodes", "images/s", "full first", "then"], rows)
        lines += ["", *_a_day(model, load, node), ""]
    return lines


def _a_day(model: Costs, load: Load, node: cluster.Node) -> list[str]:
    rate = assumptions.IMAGES_PER_DAY / DAY_S
    count = cluster.nodes_for(rate, model, load, node, assumptions.SHARED)
    cost = cluster.bill(assumptions.IMAGES_PER_DAY, count, model, load, node, assumptions.SHARED)
    short = [
        f"{each.name} ({each.images_per_s:,.0f})"
        for each in cluster.stations(model, load, node, count, assumptions.SHARED)
        if each.images_per_s < rate and each.name not in cluster.NODES
    ]
    held = f"; not enough, at the assumptions: {', '.join(short)}" if short else ""
    return [
        f"{assumptions.IMAGES_PER_DAY:,.0f} images a day are {rate:,.0f} a second: {count:,} "
        f"nodes, {cost.whole:,.0f} dollars a day (nodes {cost.nodes:,.0f}, "
        f"database {cost.database:,.0f}, files {cost.files:,.0f}){held}."
    ]
