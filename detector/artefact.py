"""A detector as two files: what was fitted, and what was decided on it.

The *fit* holds spec, mask and statistics. Each statistic ``name`` gives tensors ``name/...``: the
mean and the scatter's upper triangle row by row (of every cell, and of every square of cells),
counts of cells, keys and columns of samples; ``mask`` (h, w) stands beside them, and ``network``,
the bytes of a file. Statistics are float64. The *decision* holds the calibration, ``scores`` (m,),
``anomalies`` (a,) and, if they are known, ``inputs`` (m, 3), and the threshold: it is small, so
that a new threshold costs a small file.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from detector.calibration import Calibration
from detector.cell_moments import CellMoments
from detector.detector import Detector
from detector.errors import ArtefactError, InvalidSpecError
from detector.moments import Moments
from detector.sample import Sample
from detector.spec import Spec
from detector.squares import squares
from detector.statistics import Statistic
from detector.tensor_file import pack, unpack
from detector.verdict import Threshold

FORMAT = 4
_FIT, _DECISION = "fit", "decision"
T = TypeVar("T")


def fit_bytes(detector: Detector) -> bytes:
    """Return the file of what was fitted."""
    tensors: dict[str, np.ndarray] = {}
    for name, statistic in detector.statistics.items():
        for part, values in _tensors(statistic).items():
            tensors[f"{name}/{part}"] = values
    if detector.mask is not None:
        tensors["mask"] = detector.mask
    if detector.network:
        tensors["network"] = np.frombuffer(detector.network, np.uint8)
    header = {
        "spec": detector.spec.plain(),
        "statistics": {name: _kind(part) for name, part in detector.statistics.items()},
    }
    return pack(_FIT, FORMAT, header, tensors)


def decision_bytes(detector: Detector) -> bytes:
    """Return the file of calibration and threshold."""
    known = detector.calibration
    header: dict[str, Any] = {
        "stale": detector.stale,
        "threshold": asdict(detector.threshold) if detector.threshold else None,
        "calibration": None,
    }
    tensors: dict[str, np.ndarray] = {}
    if known is not None:
        header["calibration"] = {"groups": known.groups, "elsewhere": known.elsewhere}
        tensors = {"scores": known.scores, "anomalies": known.anomalies}
        if known.inputs is not None:
            tensors["inputs"] = known.inputs
    return pack(_DECISION, FORMAT, header, tensors)


def read_fit(content: bytes) -> Detector:
    """Return a detector that was fitted, without its decision.

    Raises:
        ArtefactError: if the file is damaged or not a fit of this program.
    """
    header, tensors = unpack(_FIT, FORMAT, content)
    return _readable(lambda: _fit(header, tensors))


def with_decision(fitted: Detector, content: bytes, version: int) -> Detector:
    """Return the detector with calibration and threshold, under its number.

    Raises:
        ArtefactError: if the file is damaged or not a decision of this program.
    """
    header, tensors = unpack(_DECISION, FORMAT, content)

    def decided() -> Detector:
        known, drawn = header["calibration"], header["threshold"]
        return fitted.having(
            version=version,
            stale=bool(header["stale"]),
            threshold=Threshold(**drawn) if drawn else None,
            calibration=known
            and Calibration(
                tensors["scores"],
                tuple(known["groups"]),
                tensors["anomalies"],
                known["elsewhere"],
                tensors.get("inputs"),
            ),
        )

    return _readable(decided)


def _readable(read: Callable[[], T]) -> T:
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError, InvalidSpecError) as error:
        raise ArtefactError(f"it does not describe a detector: {error}") from error


def _fit(header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> Detector:
    statistics = {
        name: _statistic(
            kind,
            {
                key.removeprefix(f"{name}/"): values
                for key, values in tensors.items()
                if key.startswith(f"{name}/")
            },
        )
        for name, kind in header["statistics"].items()
    }
    return Detector(
        spec=Spec.of(header["spec"]),
        mask=tensors.get("mask"),
        statistics=statistics,
        network=tensors["network"].tobytes() if "network" in tensors else b"",
    )


def _kind(statistic: Statistic) -> dict[str, Any]:
    """Return what of a statistic is not a tensor."""
    if isinstance(statistic, Sample):
        return {"kind": "sample", "limit": statistic.limit}
    return {"kind": "cells" if isinstance(statistic, CellMoments) else "rows", "n": statistic.n}


def _tensors(statistic: Statistic) -> dict[str, np.ndarray]:
    if isinstance(statistic, Sample):
        return {"keys": statistic.keys, **statistic.columns}
    upper = np.triu_indices(statistic.mean.shape[-1])
    found = {"mean": statistic.mean, "scatter": statistic.scatter[..., upper[0], upper[1]]}
    if isinstance(statistic, CellMoments):
        found["counts"] = statistic.counts
    return found


def _statistic(kind: Mapping[str, Any], tensors: dict[str, np.ndarray]) -> Statistic:
    match kind["kind"]:
        case "sample":
            return Sample(kind["limit"], tensors.pop("keys"), tensors)
        case "rows":
            return Moments(kind["n"], tensors["mean"], _symmetric(tensors["scatter"]))
        case "cells":
            scatter = _symmetric(tensors["scatter"])
            counts, mean = tensors["counts"], tensors["mean"]
            if (len(counts), len(scatter)) != (len(mean), len(squares(len(mean)))):
                raise ValueError(f"{len(counts)} counts, {len(mean)} means, {len(scatter)} squares")
            return CellMoments(kind["n"], counts, mean, scatter)
    raise ValueError(f"no kind of statistic {kind['kind']!r}")


def _symmetric(triangle: Float[np.ndarray, "*k m"]) -> Float[np.ndarray, "*k d d"]:
    d = int((np.sqrt(8 * triangle.shape[-1] + 1) - 1) / 2)
    matrix = np.zeros((*triangle.shape[:-1], d, d))
    rows, columns = np.triu_indices(d)
    matrix[..., rows, columns] = triangle
    matrix[..., columns, rows] = triangle
    return matrix
