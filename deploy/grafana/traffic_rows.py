"""The rows "What does the traffic look like?" and "Is the service healthy?"."""

from panels import COLOURS, Json, coloured, heatmap, table, target, timeseries
from queries import MODEL, buckets, largest, quantile, rate, recorded


def images_per_second() -> Json:
    """How much is scored, and what the verdicts are."""
    return coloured(
        timeseries(
            "Images per second by verdict",
            "Scored images of the selected models.",
            target(rate("gatewatch_images_scored_total", "verdict", MODEL), "{{verdict}}"),
            unit="ops",
            stacked=True,
        ),
        COLOURS,
    )


def traffic() -> list[Json]:
    """How scores and verdicts are distributed, and whether that changes."""
    p_value, ratio = "gatewatch_conformal_p_value", "gatewatch_anomaly_score_ratio"
    shadow = "gatewatch_shadow_disagreements_total"
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
            "Anomalous share, and p-values below 0.05",
            "The dashed line is 0.05: where the p-values stay while the traffic resembles the "
            "calibration. The anomalous share, of images judged against a threshold, has its "
            "own target.",
            target(
                recorded("model:gatewatch_images_anomalous:ratio_rate5m"), "{{model}} anomalous"
            ),
            target(
                recorded("model:gatewatch_conformal_p_value:below_0_05_ratio_rate1h"),
                "{{model}} p < 0.05 (1 h)",
            ),
            unit="percentunit",
            ceiling=1,
            line_at=0.05,
        ),
        timeseries(
            "Score / threshold, median and 95th percentile",
            "The dashed line is the threshold. A dot is an image: click it to see it.",
            target(quantile(0.5, ratio, "model", MODEL), "{{model}} p50"),
            target(quantile(0.95, ratio, "model", MODEL), "{{model}} p95", exemplar=True),
            unit="none",
            line_at=1,
        ),
        timeseries(
            "Flagged by one version alone",
            "Images per second that only the version in service flags, or only its shadow.",
            target(rate(shadow, "model, side", MODEL), "{{model}} {{side}}"),
            unit="ops",
        ),
    ]


def requests() -> list[Json]:
    """What is asked, what is turned away, and how long each step takes."""
    return [
        timeseries(
            "Stage time, 95th percentile",
            "Where an image's time goes: decode, queue, forward, score (the sum of all detectors "
            "that judge it); total is all of it.",
            target("stage:gatewatch_stage_duration_seconds:p95_5m", "{{stage}}"),
            unit="s",
        ),
        timeseries(
            "Rejected images per second by reason",
            "Images that were never scored: not decodable, too large, unsupported, or shed.",
            target(rate("gatewatch_images_rejected_total", "reason"), "{{reason}}"),
            unit="ops",
            stacked=True,
        ),
        timeseries(
            "Requests per second by status",
            "429 and 503 are the service protecting itself; other 5xx are faults.",
            target(rate("gatewatch_requests_total", "status"), "{{status}}"),
            unit="reqps",
            stacked=True,
        ),
        timeseries(
            "Request time, 95th percentile",
            "By route, measured in the service.",
            target(quantile(0.95, "gatewatch_request_duration_seconds", "route"), "{{route}}"),
            unit="s",
        ),
    ]


def inside() -> list[Json]:
    """Batches, queues, stages, jobs and what is stored: what a slow service is slow at."""
    batch = "gatewatch_batch_images"
    mean_batch = f"{rate(batch + '_sum', 'job')} / ({rate(batch + '_count', 'job')} > 0)"
    unkept = rate("gatewatch_history_dropped_images_total", "job")
    unwatched = rate("gatewatch_drift_dropped_images_total", "job")
    return [
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
            "Bytes admitted",
            "Bodies of requests to score that are not answered yet.",
            target("sum(gatewatch_admitted_bytes)", "admitted"),
            unit="bytes",
        ),
        timeseries(
            "Calls of stages under way",
            "A stage with calls that lasts at the same number is stuck; /readyz says so too.",
            target("sum by (stage) (gatewatch_stage_calls)", "{{stage}}"),
            unit="none",
        ),
        timeseries(
            "Since a stage last finished something",
            "Grows while nothing comes; with calls under way it should not.",
            target(
                "time() - max by (stage) (gatewatch_stage_last_progress_timestamp_seconds)",
                "{{stage}}",
            ),
            unit="s",
        ),
        timeseries(
            "Jobs that ended, per second",
            "By kind and how they ended.",
            target(rate("gatewatch_jobs_total", "kind, state"), "{{kind}} {{state}}"),
            unit="ops",
        ),
        timeseries(
            "Images that wait for a review",
            "Images that were flagged, or nearly, and that nobody has reviewed.",
            target(largest("gatewatch_review_queue_images"), "{{model}}"),
            unit="none",
        ),
        timeseries(
            "Images given up per second",
            "Scored and answered, but their rows could not be kept, or drift not be watched.",
            target(unkept, "not kept"),
            target(unwatched, "not watched"),
            unit="ops",
        ),
        timeseries(
            "Bytes kept of scored images",
            "By model.",
            target(largest("gatewatch_store_bytes"), "{{model}}"),
            unit="bytes",
        ),
        timeseries(
            "Notices that wait, and attempts per second",
            "What webhook, broker or folder has not got yet; retried and given up should be 0.",
            target("max by (sink) (gatewatch_notices_waiting)", "{{sink}} waiting"),
            target(rate("gatewatch_notices_total", "sink, result"), "{{sink}} {{result}}"),
            unit="none",
        ),
    ]


def what_runs() -> list[Json]:
    """Which models serve and which builds serve them."""
    hidden = ["Time", "Value", "__name__", "job"]
    return [
        table(
            "Models",
            "What serves: layer is the descriptor, metric the scorer.",
            f"gatewatch_model_info{{{MODEL}}}",
            hidden,
        ),
        table("Build", "One row for each instance.", "gatewatch_build_info", hidden),
    ]
