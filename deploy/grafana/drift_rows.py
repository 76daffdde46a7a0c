"""The rows "Is it drifting?" and "What changed?"."""

from panels import Json, dashed, logarithmic, stat, table, target, timeseries
from queries import MODEL, largest, quantile, rate

STATES = {
    "0": ("warming up", "blue"),
    "1": ("in control", "green"),
    "2": ("ALARM", "red"),
    "3": ("off", "text"),
}


def is_it_drifting() -> list[Json]:
    """The state, the evidence and the line that it must not cross."""
    alarms = f"sum by (model) (increase(gatewatch_drift_alarms_total{{{MODEL}}}[10m]))"
    last = f"max_over_time(timestamp({alarms} > 0)[30d:10m])"
    return [
        stat(
            "State",
            "An alarm stays until somebody acknowledges it.",
            target(largest("gatewatch_drift_state"), "{{model}}"),
            words=STATES,
        ),
        dashed(
            timeseries(
                "Evidence for a change",
                "log10; a line that reaches its dashed one raises the alarm. The dashed one is "
                "what is promised: at 4, no more than one false alarm in 10,000 images.",
                target(
                    largest("gatewatch_drift_evidence_log10", "model, monitor"),
                    "{{model}} {{monitor}}",
                ),
                target(
                    largest("gatewatch_drift_evidence_threshold_log10", "model, monitor"),
                    "{{model}} {{monitor}} threshold",
                ),
                unit="none",
            ),
            "threshold",
        ),
        stat(
            "Days since the last alarm",
            "Of the last 30 days.",
            target(f"(time() - {last}) / 86400", "{{model}}"),
            unit="none",
            nothing="none in 30 days",
        ),
    ]


def what_changed() -> list[Json]:
    """What the last window says, what the pictures look like, what was raised and reviewed."""
    median = [
        target(
            quantile(0.5, f"gatewatch_input_{name}_ratio", "model", MODEL), f"{{{{model}}}} {name}"
        )
        for name in ("brightness", "contrast", "sharpness")
    ]
    in_range = (
        f"sum by (model, monitor) (increase(gatewatch_drift_alarms_total{{{MODEL}}}[$__range]))"
    )
    return [
        timeseries(
            "Divergence of the last window, by part",
            "Nats, with what chance alone would give removed, so that it may be below 0. Mean: "
            "everything moved; scale: it spreads more or less; corr: parts move together anew.",
            target(
                f'max by (model, part) (gatewatch_drift_window_kl_nats{{{MODEL}, part!="total"}})',
                "{{model}} {{part}}",
            ),
            target(
                f'max by (model) (gatewatch_drift_window_kl_nats{{{MODEL}, part="total"}})',
                "{{model}} total",
            ),
            unit="none",
            floor=None,
        ),
        dashed(
            logarithmic(
                timeseries(
                    "p-value of the last window",
                    "At or below its dashed level a window is an alarm.",
                    target(
                        f"min by (model) (gatewatch_drift_window_p_value{{{MODEL}}})", "{{model}}"
                    ),
                    target(largest("gatewatch_drift_window_level"), "{{model}} level"),
                    unit="none",
                )
            ),
            "level",
        ),
        timeseries(
            "Brightness, contrast and sharpness, medians",
            "Over the median of the reference: 1 is as it was.",
            *median,
            unit="none",
            line_at=1,
        ),
        stat(
            "Window and calibration",
            "How full the window is, every how many images one is watched, how many scores the "
            "calibration has and how many images the reference.",
            target(largest("gatewatch_drift_window_images"), "{{model}} in the window"),
            target(largest("gatewatch_drift_window_target_images"), "{{model}} of"),
            target(largest("gatewatch_calibration_lag_images"), "{{model}} watched: 1 of"),
            target(largest("gatewatch_calibration_images"), "{{model}} calibrated"),
            target(largest("gatewatch_reference_images"), "{{model}} fitted"),
        ),
        stat(
            "Age of reference and last window",
            "Since the reference was fitted, and since a window was last tested.",
            target(
                f"time() - {largest('gatewatch_reference_fitted_timestamp_seconds')}",
                "{{model}} fitted",
            ),
            target(
                f"time() - {largest('gatewatch_drift_last_window_timestamp_seconds')}",
                "{{model}} tested",
            ),
            unit="s",
        ),
        timeseries(
            "Windows by result",
            "Per second: tested, skipped, or ended in an error, which the log has.",
            target(
                rate("gatewatch_drift_windows_total", "model, result", MODEL),
                "{{model}} {{result}}",
            ),
            unit="ops",
            stacked=True,
        ),
        table(
            "Alarms in the time shown",
            "How many, by monitor.",
            f"round({in_range}) > 0",
            ["Time"],
        ),
        timeseries(
            "Reviews per second",
            "What people said: confirmed and false_alarm of flagged images, passed and missed of "
            "others.",
            target(rate("gatewatch_reviews_total", "model, label", MODEL), "{{model}} {{label}}"),
            unit="ops",
            stacked=True,
        ),
    ]
