"""A part as a file, so that it can be added to others elsewhere, or be gone on with.

It holds the fit of its share (``detector.artefact``), the rows that were held out
(``detector.row_file``) and the lists of images as JSON: these stand beside the header, not in it,
for a header of safetensors may not be larger than 100 MB.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from app.bulk.part import Part, blank
from app.bulk.plan import HoldOut
from app.bulk.reservoir import Reservoir
from app.results import Rejected
from app.storage.lineage import Image
from detector.artefact import fit_bytes, read_fit
from detector.errors import ArtefactError
from detector.row_file import read_rows, rows_bytes
from detector.tensor_file import pack, unpack

_KIND, _FORMAT = "part", 1


def part_bytes(part: Part, about: Mapping[str, Any]) -> bytes:
    """Return the file of a part, and of what else its maker wants to find again, as JSON."""
    held = part.held
    header = {"hold_out": asdict(part.hold_out), "seen": held.seen, "about": dict(about)}
    tensors = {
        "fit": _array(fit_bytes(part.unfitted.having(statistics=part.statistics))),
        "fitted": _listed([[each.sha256, each.name, each.group] for each in part.fitted]),
        "rejected": _listed([[each.name, dict(each.problem)] for each in part.rejected]),
        "held": _listed([[each.sha256, each.name, each.group] for each in held.images]),
        "held_keys": np.array(held.keys, dtype=np.uint64),
        "held_rows": _array(rows_bytes(held.rows, {})),
    }
    return pack(_KIND, _FORMAT, header, tensors)


def read_part(content: bytes) -> tuple[Part, dict[str, Any]]:
    """Return a part, and what its maker kept beside it.

    Raises:
        ArtefactError: if the file is damaged, or no part of this program.
    """
    header, tensors = unpack(_KIND, _FORMAT, content)
    try:
        fit = read_fit(tensors["fit"].tobytes())
        rows, _ = read_rows(tensors["held_rows"].tobytes())
        hold_out = HoldOut(**header["hold_out"])
        held = Reservoir(
            hold_out.most,
            [int(key) for key in tensors["held_keys"]],
            _images(tensors["held"]),
            rows,
            int(header["seen"]),
        )
        rejected = [Rejected(name, problem) for name, problem in _list(tensors["rejected"])]
        fitted = _images(tensors["fitted"])
        part = Part(blank(fit), hold_out, fit.statistics, fitted, held, rejected)
        return part, dict(header["about"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"it does not describe a part of a fit: {error}") from error


def _array(content: bytes) -> np.ndarray:
    return np.frombuffer(content, dtype=np.uint8)


def _listed(values: Sequence[Any]) -> np.ndarray:
    return _array(json.dumps(values, separators=(",", ":")).encode())


def _list(array: np.ndarray) -> list[Any]:
    found = json.loads(array.tobytes())
    if not isinstance(found, list):
        raise TypeError("a list is none")
    return found


def _images(array: np.ndarray) -> list[Image]:
    return [Image(*each) for each in _list(array)]
