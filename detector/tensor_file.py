"""Files of ours: safetensors with a JSON header and a SHA-256 over header and tensors.

The header names the kind of file and its format. Nothing is ever unpickled. Files are read by the
safetensors package and laid out here, byte for byte as it does: it copies the tensors three times
and holds the interpreter's lock meanwhile, which every image that is scored would wait for.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from detector.errors import ArtefactError

_HEADER = "gatewatch"
_TYPES = {
    "|b1": "BOOL",
    "|u1": "U8",
    "|i1": "I8",
    "<i2": "I16",
    "<u2": "U16",
    "<f2": "F16",
    "<i4": "I32",
    "<u4": "U32",
    "<f4": "F32",
    "<f8": "F64",
    "<i8": "I64",
    "<u8": "U64",
}
"""The format's word for each type of numbers; tensors of the last one lie first."""
_ORDER = [*_TYPES]
_ALIGNED = 8


def pack(
    kind: str, file_format: int, header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> bytes:
    """Return the file that holds a header and tensors."""
    whole = {"kind": kind, "format": file_format, **header}
    ordered = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    whole["sha256"] = _digest(whole, ordered)
    return _laid_out(ordered, {_HEADER: json.dumps(whole)})


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
        digest.update(_bytes(values))
    return digest.hexdigest()


def _laid_out(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the file: the length of its header, that, and the tensors, those of wide types first.

    https://github.com/huggingface/safetensors#format
    """
    places: dict[str, Any] = {"__metadata__": metadata}
    parts, end = [], 0
    ranked = sorted(tensors, key=lambda name: (-_ORDER.index(tensors[name].dtype.str), name))
    for name in ranked:
        values = tensors[name]
        start, end = end, end + values.nbytes
        kind = _TYPES[values.dtype.str]
        places[name] = {"dtype": kind, "shape": values.shape, "data_offsets": (start, end)}
        parts.append(_bytes(values))
    header = json.dumps(places, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNED)
    return b"".join([len(header).to_bytes(8, "little"), header, *parts])


def _bytes(values: np.ndarray) -> memoryview:
    """Return the bytes of a contiguous array, which are not copied."""
    return values.reshape(-1).view(np.uint8).data
