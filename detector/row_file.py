"""Rows as a file: those of some dozens of images, and a header about them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detector.errors import ArtefactError
from detector.rows import Rows
from detector.tensor_file import pack, unpack

FORMAT = 1
_KIND, _BLOCK = "rows", "block/"


def rows_bytes(rows: Rows | None, header: Mapping[str, Any]) -> bytes:
    """Return the file that holds rows, or none, and a JSON header about their images."""
    tensors: dict[str, np.ndarray] = {}
    if rows is not None:
        tensors |= {f"{_BLOCK}{name}": values for name, values in rows.blocks.items()}
        if rows.squeeze is not None:
            tensors["squeeze"] = rows.squeeze
        if rows.thumbnail is not None:
            tensors["thumbnail"] = rows.thumbnail
        if rows.inputs is not None:
            tensors["inputs"] = rows.inputs
    about = {"about": dict(header), "blocks": [] if rows is None else list(rows.blocks)}
    return pack(_KIND, FORMAT, about, tensors)


def read_rows(content: bytes) -> tuple[Rows | None, dict[str, Any]]:
    """Return rows, or None where no image gave any, and the header about their images.

    Raises:
        ArtefactError: if the file is damaged or not one of rows.
    """
    header, tensors = unpack(_KIND, FORMAT, content)
    try:
        blocks = {name: tensors[f"{_BLOCK}{name}"] for name in header["blocks"]}
        others = (tensors.get(name) for name in ("squeeze", "thumbnail", "inputs"))
        return Rows(blocks, *others) if blocks else None, dict(header["about"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"it does not describe rows: {error}") from error
