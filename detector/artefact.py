"""A detector as a file: safetensors with a JSON header, written whole or not at all.

Per block ``l`` the file holds ``l/mean`` (d,) and ``l/scatter`` (d (d + 1) / 2,), the upper
triangle row by row, and ``calibration`` (m,), all float64. The header names the format, the spec
with the backbone's fingerprint, the version, the threshold and a SHA-256 over itself and the
tensors. Nothing is ever unpickled.
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

from detector.detector import Detector, Spec, Threshold
from detector.errors import ArtefactError, InvalidSpecError
from detector.moments import Moments

FORMAT = 1
_HEADER = "gatewatch"


def save_detector(detector: Detector, path: Path) -> None:
    """Write a detector to ``path``: first under another name, then synced and renamed."""
    tensors: dict[str, np.ndarray] = {}
    for block, part in detector.moments.items():
        tensors[f"{block}/mean"] = part.mean
        tensors[f"{block}/scatter"] = part.scatter[np.triu_indices(len(part.mean))]
    if detector.calibration is not None:
        tensors["calibration"] = detector.calibration
    header = {
        "format": FORMAT,
        "spec": asdict(detector.spec),
        "version": detector.version,
        "threshold": asdict(detector.threshold) if detector.threshold else None,
        "blocks": {block: part.n for block, part in detector.moments.items()},
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
                f"{path} has format {header['format']}, this program reads {FORMAT}"
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
    moments = {
        block: Moments(n, tensors[f"{block}/mean"], _symmetric(tensors[f"{block}/scatter"]))
        for block, n in header["blocks"].items()
    }
    return Detector(
        spec=Spec(**header["spec"]),
        version=header["version"],
        moments=moments,
        calibration=tensors.get("calibration"),
        threshold=Threshold(**header["threshold"]) if header["threshold"] else None,
    )


def _symmetric(triangle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "d d"]:
    d = int((np.sqrt(8 * len(triangle) + 1) - 1) / 2)
    matrix = np.zeros((d, d))
    matrix[np.triu_indices(d)] = triangle
    return matrix + np.triu(matrix, 1).T


def _digest(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
