"""Writes dashboards/gatewatch.json; run `python deploy/grafana/generate.py` after a change."""

import json
from pathlib import Path

from panels import COLOURS, DATASOURCE, Json, coloured, heatmap, table, target, timeseries

DASHBOARD = Path(__file__).parent / "dashboards" / "gatewatch.json"
MODEL = 'model=~"$model"'
FULL, THIRD, QUARTER = 24, 8, 6


def rate(metric: str, by: str, labels: str = "") -> str:
    """Per-second rate of a counter, summed by some labels."""
    selector = f"{{{labels}}}" if labels else ""
    return f"sum by ({by}) (rate({metric}{selector}[$__rate_interval]))"


def quantile(q: float, metric: str, by: str = "", labels: str = "") -> str:
    """A quantile of a histogram, for each value of the label named in `by`."""
    groups = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', groups, labels)})"


def buckets(metric: str) -> str:
    """How many observations fell into each bucket, for a heatmap."""
    return f"sum by (le) (increase({metric}_bucket{{{MODEL}}}[$__rate_interval]))"


def traffic() -> list[Json]:
    """How much comes in, what the verdicts are, and what is turned away."""
    scored = "gatewatch_images_scored_total"
    judged = rate(scored, "model", f'{MODEL}, verdict=~"normal|anomalous"')
    anomalous = rate(scored, "model", f'{MODEL}, verdict="anomalous"')
    return [
        coloured(
            timeseries(
                "Images per second by verdict",
                "Scored images of the selected models.",
                target(rate(scored, "verdict", MODEL), "{{verdict}}"),
                unit="ops",
                stacked=True,
            ),
            COLOURS,
        ),
        timeseries(
            "Anomalous share",
            "Anomalous images among those judged against a threshold. While all images are "
            "normal, a conformal threshold keeps the expected share at or below its target.",
            target(f"{anomalous} / ({judged} > 0)", "{{model}}"),
            unit="percentunit",
            ceiling=1,
        ),
        timeseries(
            "Rejected images per second by reason",
            "Images that were never scored: not decodable, too large, unsupported, or shed.",
            target(rate("gatewatch_images_rejected_total", "reason"), "{{reason}}"),
            unit="ops",
            stacked=True,
        ),
    ]


def scores() -> list[Json]:
    """How the scores are distributed, and whether that changes."""
    p_value, ratio = "gatewatch_conformal_p_value", "gatewatch_anomaly_score_ratio"
    per_model = ("model", MODEL)
    return [
        heatmap(
            "Conformal p-values",
            "Evenly spread over 0 to 1 while the traffic resembles the calibration images; "
            "crowding towards 0 means that it no longer does. Rows are as wide as their "
            "buckets, which are not equal.",
            buckets(p_value),
            "Blues",
        ),
        heatmap(
            "Score / threshold",
            "Dimensionless, so that models compare: above 1 is anomalous.",
            buckets(ratio),
            "Oranges",
        ),
        timeseries(
            "Score / threshold, median and 95th percentile",
            "The dashed line is the threshold. Exemplars, where there are any, are the dots.",
            target(quantile(0.5, ratio, *per_model), "{{model}} p50"),
            target(quantile(0.95, ratio, *per_model), "{{model}} p95", exemplar=True),
            unit="none",
            line_at=1,
        ),
    ]


def service() -> list[Json]:
    """Whether the service keeps up, and what it is."""
    batch = "gatewatch_batch_images"
    mean_batch = f"{rate(batch + '_sum', 'job')} / ({rate(batch + '_count', 'job')} > 0)"
    requests, request = "gatewatch_requests_total", "gatewatch_request_duration_seconds"
    return [
        timeseries(
            "Stage time, 95th percentile",
            "Where an image's time goes: decode, queue, forward, score; total is all of it.",
            target(quantile(0.95, "gatewatch_stage_duration_seconds", "stage"), "{{stage}}"),
            unit="s",
        ),
        timeseries(
            "Requests per second by status",
            "429 and 503 are the service protecting itself; other 5xx are faults.",
            target(rate(requests, "status"), "{{status}}"),
            unit="reqps",
            stacked=True,
        ),
        timeseries(
            "Request time, 95th percentile",
            "By route, measured in the service.",
            target(quantile(0.95, request, "route"), "{{route}}", exemplar=True),
            unit="s",
        ),
        timeseries(
            "Images per batch",
            "How well concurrent images share a forward pass.",
            target(mean_batch, "mean"),
            target(quantile(0.95, batch), "p95"),
            unit="none",
        ),
        timeseries(
            "Queued images",
            "Images waiting for a forward pass; a queue that stays up is saturation.",
            target("sum(gatewatch_queue_images)", "queued"),
            unit="none",
        ),
        timeseries(
            "Reference and calibration images",
            "How many images each detector was fitted and calibrated on.",
            target(f"max by (model) (gatewatch_reference_images{{{MODEL}}})", "{{model}} fitted"),
            target(
                f"max by (model) (gatewatch_calibration_images{{{MODEL}}})",
                "{{model}} calibrated",
            ),
            unit="none",
        ),
        table(
            "Build",
            "What is running: one row for each instance.",
            "gatewatch_build_info",
            ["Time", "Value", "__name__", "job"],
        ),
    ]


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


def dashboard() -> Json:
    """The whole dashboard: fixed uid, no id, and no inputs to fill in, so it provisions."""
    rows = [
        ("Traffic", traffic(), [THIRD] * 3),
        ("Scores", scores(), [THIRD] * 3),
        ("Service", service(), [THIRD] * 3 + [QUARTER] * 4),
    ]
    return {
        "id": None,
        "uid": "gatewatch",
        "title": "gatewatch",
        "description": "Traffic, scores and health of the gatewatch service.",
        "tags": ["gatewatch"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "templating": {"list": variables()},
        "panels": layout(rows),
    }


def render() -> str:
    """The dashboard as the text that is committed."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(render(), encoding="utf-8")
