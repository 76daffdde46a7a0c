"""What a monitor shows in the metrics."""

import math
from collections.abc import Sequence
from typing import get_args

from app.drift_telemetry import DriftTelemetry, Input
from app.drift_telemetry import Monitor as MonitorName
from app.monitoring.monitor import Monitor, Note, Raised
from app.monitoring.telling import word
from detector.drift.state import MONITORS

_MONITORS = {name: name for name in get_args(MonitorName)}
_INPUTS: tuple[Input, ...] = get_args(Input)


class Showing:
    """Sets the series of drift."""

    def __init__(self, telemetry: DriftTelemetry) -> None:
        self._telemetry = telemetry

    def stands(self, model: str, monitor: Monitor) -> None:
        """Show state, thinning, evidence and threshold: of a monitor the stream that is nearest."""
        state = monitor.state
        self._telemetry.standing(model, word(monitor), 0)
        lag = round(state.thinning.every)
        self._telemetry.promised(model, level=math.nan, target_images=0, lag_images=lag)
        gaps = {
            name: state.streams[name].evidence.log10 - threshold
            for name, threshold in state.thresholds_log10.items()
        }
        for name, gap in sorted(gaps.items(), key=lambda each: each[1]):  # the nearest stays
            threshold = state.thresholds_log10[name]
            shown = _MONITORS[MONITORS[name]]
            self._telemetry.monitored(model, shown, gap + threshold, threshold)

    def seen(
        self, model: str, monitor: Monitor, notes: Sequence[Note], raised: Sequence[Raised]
    ) -> None:
        """Count alarms, and observe how images look beside the baseline."""
        for alarm in raised:
            self._telemetry.alarmed(model, _MONITORS[MONITORS[alarm.stream]])
        medians = monitor.reference.medians
        if not all(medians):
            return
        for note in notes:
            for look in note.inputs or ():
                ratios = {
                    name: value / median
                    for name, value, median in zip(_INPUTS, look, medians, strict=False)
                }
                self._telemetry.looked(model, ratios)
