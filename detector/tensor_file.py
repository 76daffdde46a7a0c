"""Files of ours: safetensors with a JSON header and a SHA-256 over header and tensors.

The header names the kind of file and its format. Nothing is ever unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from detector.errors import ArtefactError

_HEADER = "gatewatch"


def pack(
    kind: str, file_format: int, header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> bytes:
    """Return the file that holds a header and tensors."""
    whole = {"kind": kind, "format": file_format, **header}
    ordered = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    whole["sha256"] = _digest(whole, ordered)
    return save(ordered, metadata={_HEADER: json.dumps(whole)})


def unpack(
    kind: str, file_format: int, content: bytes
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and tensors of a file.

    Raises:
        ArtefactError: if it is damaged, of another kind or another format.
    """
    try:
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        header = json.loads(metadata[_HEADER])
        if header["kind"] != kind or header["format"] != file_format:
            raise ArtefactError(
                f"this is {header['kind']!r} of format {header['format']}, needed is {kind!r} of "
                f"format {file_format}: it was written by another version of gatewatch"
            )
        tensors = load(content)
        if header.pop("sha256") != _digest(header, tensors):
            raise ArtefactError("it is damaged: its digest does not match its content")
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ArtefactError(f"it is not a readable file of gatewatch: {error}") from error
    return header, tensors


def _digest(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(header).encode())
    for name, values in sorted(tensors.items()):
        digest.update(json.dumps([name, values.dtype.str, values.shape]).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
