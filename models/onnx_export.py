"""A network with its normalisation and taps as one ONNX graph, for pictures of one size.

The graph takes prepared pixels, uint8 (b, 3, s, s), or (b, 4, s, s) where the fourth channel says
how much each pixel counts, for any b; its outputs are named after what they are::

    gate/BLOCK  mean/BLOCK  std/BLOCK  maximum/BLOCK    (b, c)
    regional/BLOCK                                      (b, k, c)

One graph a size: padding and the cells of the grid depend on it, and a runtime plans better for
shapes that it knows.
"""

import logging
import multiprocessing
import os
import warnings
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn

from models.packed import PackedNetwork
from models.preprocess import Preprocessing
from models.taps import Tapped, to_names

OPSET, NICENESS = 20, 5
VERSION = 2
"""Of what this module exports; raised when that changes."""


class _Seen(nn.Module):
    """From prepared pixels to the taps, as a flat tuple in the order of ``names``."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self._tapped = Tapped(network)
        self._preprocessing = preprocessing
        self.names: list[str] = []

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the taps, each once."""
        x, weights = self._preprocessing.shown(pixels)
        named = to_names(self._tapped(x, weights=weights))
        self.names = list(named)
        return tuple(named.values())


def export(network: nn.Module, preprocessing: Preprocessing, channels: int, side_px: int) -> bytes:
    """Return the graph as the bytes of an ONNX file.

    Args:
        network: on the CPU, in evaluation mode; it is left with taps.
        preprocessing: of the network.
        channels: 3, or 4 with a mask.
        side_px: of the pictures.

    Raises:
        Exception: whatever torch's exporter raises for a network it cannot export.
    """
    seen = _Seen(network, preprocessing)
    example = torch.full((2, channels, side_px, side_px), 127, dtype=torch.uint8)
    with torch.no_grad():
        seen(example)  # which names there are
        program = torch.onnx.export(
            seen,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["pixels"],
            output_names=seen.names,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("b", min=1, max=4096)},),
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def export_apart(
    packed: PackedNetwork, preprocessing: Preprocessing, channels: int, side_px: int
) -> bytes:
    """Do the same in a process of its own, at a lower priority.

    The exporter holds the interpreter for many seconds, takes a gigabyte, warns and logs at will; a
    service that answers meanwhile must not feel it.

    Raises:
        RuntimeError: if the exporter fails, with what it said.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    what = (theirs, packed, preprocessing, channels, side_px)
    process = context.Process(target=_export_into, args=what, daemon=True)
    process.start()
    theirs.close()
    try:
        content = ours.recv()
    except EOFError:
        content = "its process ended"
    process.join()
    ours.close()
    if isinstance(content, str):
        raise RuntimeError(f"the network cannot be exported: {content}")
    return bytes(content)


def _export_into(pipe: Connection, packed: PackedNetwork, *how: Any) -> None:
    os.nice(NICENESS)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    try:
        pipe.send(export(packed.unpack(), *how))
    except Exception as error:  # of any kind; it goes on there in words
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])
