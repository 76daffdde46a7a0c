"""Small builders for the Grafana panel kinds that the gatewatch dashboard is made of."""

from typing import Any

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
COLOURS = {
    "normal": "green",
    "uncertain": "orange",
    "anomalous": "red",
    "uncalibrated": "blue",
}


def target(expr: str, legend: str = "", **extra: Any) -> Json:
    """One Prometheus range query; its refId is given when it joins a panel."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": legend or "__auto",
        "range": True,
        **extra,
    }


def _panel(kind: str, title: str, about: str, targets: list[Json], **parts: Any) -> Json:
    """What every panel has in common; ids and places are given by the layout."""
    named = [{**item, "refId": "ABCDEFGH"[index]} for index, item in enumerate(targets)]
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": DATASOURCE,
        "targets": named,
        **parts,
    }


def timeseries(
    title: str,
    about: str,
    *targets: Json,
    unit: str = "short",
    stacked: bool = False,
    floor: float | None = 0,
    ceiling: float | None = None,
    line_at: float | None = None,
) -> Json:
    """Lines over time; `line_at` draws a dashed threshold, `stacked` fills and adds up."""
    custom: Json = {
        "drawStyle": "line",
        "fillOpacity": 25 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    steps: list[Json] = [{"color": "green", "value": None}]
    if line_at is not None:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        steps.append({"color": "red", "value": line_at})
    defaults: Json = {
        "color": {"mode": "palette-classic"},
        "custom": custom,
        "thresholds": {"mode": "absolute", "steps": steps},
        "unit": unit,
    }
    if floor is not None:
        defaults["min"] = floor
    if ceiling is not None:
        defaults["max"] = ceiling
    return _panel(
        "timeseries",
        title,
        about,
        list(targets),
        fieldConfig={"defaults": defaults, "overrides": []},
        options={
            "legend": {
                "calcs": ["lastNotNull", "max"],
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def coloured(panel: Json, colours: dict[str, str]) -> Json:
    """Give the series of these names a fixed colour, the same in every panel."""
    panel["fieldConfig"]["overrides"] += [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"fixedColor": colour, "mode": "fixed"}}],
        }
        for name, colour in colours.items()
    ]
    return panel


def dashed(panel: Json, word: str) -> Json:
    """Draw the lines with this word in their names dashed: what others are compared with."""
    line = {"dash": [8, 6], "fill": "dash"}
    properties = [
        {"id": "custom.lineStyle", "value": line},
        {"id": "custom.fillOpacity", "value": 0},
    ]
    matcher = {"id": "byRegexp", "options": f"/{word}/"}
    panel["fieldConfig"]["overrides"].append({"matcher": matcher, "properties": properties})
    return panel


def logarithmic(panel: Json) -> Json:
    """Give a panel of lines a logarithmic axis, which has no 0."""
    defaults = panel["fieldConfig"]["defaults"]
    defaults["custom"]["scaleDistribution"] = {"log": 10, "type": "log"}
    defaults.pop("min", None)
    return panel


def stat(
    title: str,
    about: str,
    *targets: Json,
    unit: str = "none",
    words: dict[str, tuple[str, str]] | None = None,
    nothing: str = "-",
) -> Json:
    """The last values, large; `words` puts a text and a colour in a value's place."""
    values = {
        value: {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate((words or {}).items())
    }
    instant = [{**item, "instant": True, "range": False} for item in targets]
    return _panel(
        "stat",
        title,
        about,
        instant,
        fieldConfig={
            "defaults": {
                "color": {"mode": "thresholds"},
                "mappings": [{"type": "value", "options": values}] if words else [],
                "noValue": nothing,
                "thresholds": {"mode": "absolute", "steps": [{"color": "text", "value": None}]},
                "unit": unit,
            },
            "overrides": [],
        },
        options={
            "colorMode": "background" if words else "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name",
        },
    )


def heatmap(title: str, about: str, expr: str, scheme: str) -> Json:
    """Bucket counts over time: `expr` is a sum by (le) of increase(), not of rate()."""
    return _panel(
        "heatmap",
        title,
        about,
        [target(expr, "{{le}}", format="heatmap")],
        fieldConfig={
            "defaults": {"custom": {"scaleDistribution": {"type": "linear"}}},
            "overrides": [],
        },
        options={
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "short", "decimals": 1},
            "color": {
                "exponent": 0.5,
                "fill": "dark-orange",
                "mode": "scheme",
                "reverse": False,
                "scale": "exponential",
                "scheme": scheme,
                "steps": 64,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "none"},
        },
    )


def table(title: str, about: str, expr: str, hidden: list[str]) -> Json:
    """The labels of an instant query's series as a table, without the columns in `hidden`."""
    instant = target(expr, format="table", instant=True)
    instant["range"] = False
    return _panel(
        "table",
        title,
        about,
        [instant],
        fieldConfig={"defaults": {"custom": {"align": "auto"}}, "overrides": []},
        options={"cellHeight": "sm", "showHeader": True},
        transformations=[
            {
                "id": "organize",
                "options": {
                    "excludeByName": dict.fromkeys(hidden, True),
                    "indexByName": {},
                    "renameByName": {},
                },
            }
        ],
    )
