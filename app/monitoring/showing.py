"""What a monitor shows in the metrics."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

from app.drift_telemetry import Alarm, DriftTelemetry, Input, Part
from app.drift_telemetry import Monitor as MonitorName
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Image, Raised
from app.monitoring.telling import word
from app.monitoring.window_record import Said
from detector.drift.state import MONITORS, WINDOW
from detector.drift.window import window_size

_MONITORS = {name: name for name in get_args(MonitorName)}
_ALARMS = {name: name for name in get_args(Alarm)}
_PARTS: tuple[Part, ...] = get_args(Part)
_UNKNOWN = math.nan, dict.fromkeys(_PARTS, math.nan), math.nan
_INPUTS: tuple[Input, ...] = get_args(Input)


class Showing:
    """Sets the series of drift."""

    def __init__(self, telemetry: DriftTelemetry) -> None:
        self._telemetry = telemetry

    def stands(self, model: str, monitor: Monitor) -> None:
        """Show state, thinning, evidence and threshold: of a monitor the stream that is nearest."""
        state = monitor.state
        self._telemetry.standing(model, word(monitor))
        lag = round(state.thinning.every)
        size, level = 0, math.nan if monitor.last_window is None else monitor.last_window.level
        if monitor.tests_windows:
            size = window_size(state.window_promise)
            level = size / state.window_promise.images
        self._telemetry.promised(model, level=level, target_images=size, lag_images=lag)
        self._telemetry.filled(model, monitor.windows.filling.images)
        self._last_window(model, monitor)
        gaps = {
            name: state.streams[name].evidence.log10 - threshold
            for name, threshold in state.thresholds_log10.items()
        }
        for name, gap in sorted(gaps.items(), key=lambda each: each[1]):  # the nearest stays
            threshold = state.thresholds_log10[name]
            shown = _MONITORS[MONITORS[name]]
            self._telemetry.monitored(model, shown, gap + threshold, threshold)

    def _last_window(self, model: str, monitor: Monitor) -> None:
        said = monitor.last_window
        p_value, nats, at = _UNKNOWN if said is None else _figures(said)
        if said is not None and said.drifted and WINDOW not in monitor.state.latched:
            p_value = math.nan  # it was acknowledged
        self._telemetry.windowed(model, p_value, nats, at)

    def seen(
        self, model: str, monitor: Monitor, images: Sequence[Image], raised: Sequence[Raised]
    ) -> None:
        """Count alarms, and observe how images look beside the baseline."""
        for alarm in raised:
            self._telemetry.alarmed(model, _ALARMS[MONITORS[alarm.stream]])
        medians = monitor.reference.medians
        if not all(medians):
            return
        for image in images:
            if image.look is not None and not any(map(math.isnan, image.look)):
                ratios = {
                    name: value / median
                    for name, value, median in zip(_INPUTS, image.look, medians, strict=False)
                }
                self._telemetry.looked(model, ratios)

    def tested(self, model: str, said: Said, raised: Sequence[Raised]) -> None:
        """Count a window that was tested, and its alarm; what was said ``stands`` shows."""
        self._telemetry.tested(model, *_figures(said))
        for alarm in raised:
            self._telemetry.alarmed(model, _ALARMS[MONITORS[alarm.stream]])

    def untested(self, model: str, result: Literal["skipped", "error"]) -> None:
        """Count a window that was filled and not tested."""
        self._telemetry.untested(model, result)


def _figures(said: Said) -> tuple[float, dict[Part, float], float]:
    """Return p-value, nats by part, and the Unix time."""
    parts = zip(_PARTS, ("mean", "scale", "correlation", "total"), strict=True)
    return said.p_value, {part: said.nats[name] for part, name in parts}, said.at.timestamp()
