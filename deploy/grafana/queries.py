"""The few shapes of query that the panels are made of."""

MODEL = 'model=~"$model"'
"""The selector of the models chosen at the top of the dashboard."""


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


def largest(metric: str, by: str = "model") -> str:
    """The largest value of a gauge, for each value of the labels named in `by`."""
    return f"max by ({by}) ({metric}{{{MODEL}}})"


def recorded(series: str) -> str:
    """What a recording rule keeps of the models chosen."""
    return f"{series}{{{MODEL}}}"
