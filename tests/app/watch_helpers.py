"""Traffic that stays as it was and traffic that does not, in front of a watched detector."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from history_helpers import NAME, Line
from http_helpers import SIDE_PX, create, encode, upload
from PIL import Image

from detector.drift.autocorrelation import Thinning
from detector.drift.promise import Promise
from detector.drift.state import Baseline, DriftState
from detector.input_statistics import input_statistics

CALIBRATION = 200
PROMISE = 10_000.0


def part(seed: int, brighter: int = 0) -> bytes:
    """Return a picture whose brightness is a little its own; another lamp makes it brighter."""
    rng = np.random.default_rng([seed, 7])
    level = rng.integers(0, 20) + brighter
    pixels = rng.integers(90, 160, size=(SIDE_PX, SIDE_PX, 3)) + level
    return encode(pixels.astype(np.uint8), "BMP")


def parts(start: int, count: int, brighter: int = 0) -> list[bytes]:
    """Return pictures of as many seeds."""
    return [part(seed, brighter) for seed in range(start, start + count)]


def watched(line: Line) -> None:
    """Create, fit and calibrate a detector of such pictures."""
    create(line.client, NAME, scorer="gaussian")
    assert upload(line.client, NAME, "fit", parts(0, 60)).status_code == 200
    calibrate(line, 1000)


def calibrate(line: Line, start: int) -> None:
    """Calibrate on pictures from this seed on."""
    contents = parts(start, CALIBRATION)
    answer = upload(line.client, NAME, "calibrate", contents, target=0.02)
    assert answer.status_code == 200, answer.text


def act(line: Line, verb: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
    """Acknowledge or rebaseline; return the whole answer."""
    path = f"/v1/detectors/{NAME}/drift/{verb}"
    return line.client.post(path, json=body or {}, params=query)


def by_stream(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is told of each stream."""
    return {each["watches"]: each for each in told["monitors"]}


def latched(told: dict[str, Any]) -> set[str]:
    """Return the monitors whose alarms nobody has acknowledged."""
    return {each["monitor"] for each in told["monitors"] if each["latched"]}


def sample(line: Line, series: str) -> float:
    """Return the value of a series of the detector."""
    text = line.client.get("/metrics").text
    (found,) = (each for each in text.splitlines() if each.startswith(f"{series} "))
    return float(found.rsplit(" ", 1)[1])


def begun(line: Line) -> DriftState:
    """Return the state that the domain alone begins for the detector in service."""
    stored = line.service.storage.versions.get(NAME)
    known = stored.detector.require_calibrated()
    baseline = Baseline(known.scores, stored.detector.require_threshold().value, known.inputs)
    thinning = Thinning.of_scores(known.scores)
    state = DriftState(baseline, Promise(PROMISE), thinning, int(stored.entry.id, 16))
    state.admit_windows()
    return state


def feed(state: DriftState, contents: Sequence[bytes], results: Sequence[dict[str, Any]]) -> None:
    """Give a state what the service has said of these pictures."""
    for content, result in zip(contents, results, strict=True):
        pixels = np.moveaxis(np.asarray(Image.open(io.BytesIO(content))), 2, 0)
        state.update(result["score"], input_statistics([pixels])[0].tolist())


def evidence(state: DriftState) -> dict[str, tuple[float, float, int]]:
    """Return what is told of each stream's evidence."""
    return {
        name: (
            stream.evidence.log10,
            stream.evidence.log10_since_baseline,
            state.alarms[name],
        )
        for name, stream in state.streams.items()
    }


def told_evidence(told: dict[str, Any]) -> dict[str, tuple[float, float, int]]:
    """Return the same of an answer."""
    return {
        each["watches"]: (
            each["evidence_log10"],
            each["since_baseline_log10"],
            each["alarms"],
        )
        for each in told["monitors"]
    }
