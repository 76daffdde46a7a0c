"""Writes dashboards/gatewatch.json; run `python deploy/grafana/generate.py` after a change."""

import json
from pathlib import Path

from drift_rows import is_it_drifting, what_changed
from panels import DATASOURCE, Json
from queries import MODEL
from traffic_rows import images_per_second, inside, requests, traffic, what_runs

DASHBOARD = Path(__file__).parent / "dashboards" / "gatewatch.json"
FULL, HALF, THIRD, QUARTER = 24, 12, 8, 6


def layout(rows: list[tuple[str, list[Json], list[int]]]) -> list[Json]:
    """Place each row's panels from left to right, wrapping at the full width."""
    placed: list[Json] = []

    def place(panel: Json, x: int, y: int, w: int, h: int) -> None:
        grid = {"x": x, "y": y, "w": w, "h": h}
        placed.append({"id": len(placed) + 1, "gridPos": grid, **panel})

    y, height = 0, 8
    for title, panels, widths in rows:
        place({"type": "row", "title": title, "collapsed": False, "panels": []}, 0, y, FULL, 1)
        x, y = 0, y + 1
        for panel, width in zip(panels, widths, strict=True):
            if x + width > FULL:
                x, y = 0, y + height
            place(panel, x, y, width, height)
            x += width
        y += height
    return placed


def variables() -> list[Json]:
    """The data source, and the models to look at (all of them at first)."""
    models = "label_values(gatewatch_images_scored_total, model)"
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return [
        {"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus"},
        {
            "name": "model",
            "type": "query",
            "label": "Model",
            "datasource": DATASOURCE,
            "query": {
                "qryType": 1,
                "query": models,
                "refId": "PrometheusVariableQueryEditor-VariableQuery",
            },
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": everything,
        },
    ]


def annotations() -> list[Json]:
    """The moments that explain a step in the lines: a new reference, an alarm."""
    fitted = "gatewatch_reference_fitted_timestamp_seconds"
    moments = [
        ("fitted anew", "blue", "model", f"changes({fitted}{{{MODEL}}}[$__rate_interval]) > 0"),
        (
            "alarm",
            "red",
            "model,monitor",
            f"increase(gatewatch_drift_alarms_total{{{MODEL}}}[$__rate_interval]) > 0",
        ),
    ]
    return [
        {
            "name": name,
            "datasource": DATASOURCE,
            "enable": True,
            "iconColor": colour,
            "titleFormat": f"{{{{model}}}} {name}",
            "tagKeys": keys,
            "target": {"expr": expr, "interval": "", "refId": "Anno"},
        }
        for name, colour, keys, expr in moments
    ]


def dashboard() -> Json:
    """The whole dashboard: fixed uid, no id, and no inputs to fill in, so it provisions."""
    drifting = is_it_drifting()
    healthy = requests() + inside() + what_runs()
    rows = [
        ("Is it drifting?", [*drifting, images_per_second()], [4, 10, 4, 6]),
        ("What does the traffic look like?", traffic(), [HALF] * 2 + [THIRD] * 3),
        ("What changed?", what_changed(), [THIRD] * 3 + [HALF] * 2 + [THIRD] * 3),
        ("Is the service healthy?", healthy, [QUARTER] * (len(healthy) - 2) + [HALF] * 2),
    ]
    return {
        "id": None,
        "uid": "gatewatch-drift",
        "title": "gatewatch",
        "description": "Drift, traffic, what changed, and health of the gatewatch service.",
        "tags": ["gatewatch"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": annotations()},
        "templating": {"list": variables()},
        "panels": layout(rows),
    }


def render() -> str:
    """The dashboard as the text that is committed."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(render(), encoding="utf-8")
