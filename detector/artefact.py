"""A detector as a file: safetensors with a JSON header, written whole or not at all.

Each statistic ``name`` gives tensors ``name/...``: the mean and the scatter's upper triangle row by
row (of every cell), counts of cells, keys and columns of samples; ``calibration`` (m,) and ``mask``
(h, w) stand beside them. Statistics are float64. The header names the format, the spec with the
backbone's fingerprint, the version, the threshold, each statistic's kind and a SHA-256 over itself
and the tensors. Nothing is ever unpickled.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from detector.cell_moments import CellMoments
from detector.detector import Detector
from detector.errors import ArtefactError, InvalidSpecError
from detector.moments import Moments
from detector.options import Options
from detector.sample import Sample
from detector.spec import Spec
from detector.statistics import Statistic
from detector.verdict import Threshold

FORMAT = 2
_HEADER = "gatewatch"


def save_detector(detector: Detector, path: Path) -> None:
    """Write a detector to ``path``: first under another name, then synced and renamed."""
    tensors: dict[str, np.ndarray] = {}
    for name, statistic in detector.statistics.items():
        for part, values in _tensors(statistic).items():
            tensors[f"{name}/{part}"] = np.ascontiguousarray(values)  # else saved in memory order
    if detector.calibration is not None:
        tensors["calibration"] = detector.calibration
    if detector.mask is not None:
        tensors["mask"] = detector.mask
    header = {
        "format": FORMAT,
        "spec": asdict(detector.spec),
        "version": detector.version,
        "elsewhere": detector.elsewhere,
        "threshold": asdict(detector.threshold) if detector.threshold else None,
        "statistics": {name: _kind(part) for name, part in detector.statistics.items()},
    }
    header["sha256"] = _digest(header, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(save(tensors, metadata={_HEADER: json.dumps(header)}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_detector(path: Path) -> Detector:
    """Return the detector in a file.

    Raises:
        ArtefactError: if the file is missing, damaged, not a detector or of another format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(metadata[_HEADER])
        if header["format"] != FORMAT:
            raise ArtefactError(
                f"{path} has format {header['format']}, this program reads {FORMAT}: "
                "delete it, create it and fit it anew"
            )
        if header.pop("sha256") != _digest(header, tensors):
            raise ArtefactError(f"{path} is damaged: its digest does not match its content")
        return _detector(header, tensors)
    except (
        OSError,
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        InvalidSpecError,
    ) as error:
        raise ArtefactError(f"{path} is not a readable detector: {error}") from error


def _detector(header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> Detector:
    spec = header["spec"]
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
        spec=Spec(**{**spec, "options": Options(**spec["options"])}),
        mask=tensors.get("mask"),
        version=header["version"],
        statistics=statistics,
        calibration=tensors.get("calibration"),
        elsewhere=header["elsewhere"],
        threshold=Threshold(**header["threshold"]) if header["threshold"] else None,
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
            return CellMoments(kind["n"], tensors["counts"], tensors["mean"], scatter)
    raise ValueError(f"no kind of statistic {kind['kind']!r}")


def _symmetric(triangle: Float[np.ndarray, "*k m"]) -> Float[np.ndarray, "*k d d"]:
    d = int((np.sqrt(8 * triangle.shape[-1] + 1) - 1) / 2)
    matrix = np.zeros((*triangle.shape[:-1], d, d))
    rows, columns = np.triu_indices(d)
    matrix[..., rows, columns] = triangle
    matrix[..., columns, rows] = triangle
    return matrix


def _digest(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
