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
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
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
    service that answers meanwhile must not feel it. It ends when this process does, without a word.

    Raises:
        RuntimeError: if the exporter fails, with what it said.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # The network is no argument of it: to write one so large takes until the process has imported
    # what it needs, and if this one ends meanwhile, the other complains of half an argument.
    process = context.Process(target=_export_over, args=(theirs,), daemon=True)
    with _without_interrupts():
        process.start()
    theirs.close()
    try:
        ours.send((packed, preprocessing, channels, side_px))
        content = ours.recv()
    except (EOFError, OSError):
        content = "its process ended"
    process.join()
    ours.close()
    if isinstance(content, str):
        raise RuntimeError(f"the network cannot be exported: {content}")
    return bytes(content)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Have what this thread starts never hear of Ctrl-C, which a terminal sends to all it runs."""
    resource_tracker.ensure_running()  # else it would be started within, and lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _export_over(pipe: Connection) -> None:
    """Export what comes, and send the graph or what went wrong; nobody may be there any more."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        pipe.send(_exported(*pipe.recv()))


def _end_with_parent() -> None:
    """End with the process that wants the graph, however that ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _exported(packed: PackedNetwork, *how: Any) -> bytes | str:
    os.nice(NICENESS)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    try:
        return export(packed.unpack(), *how)
    except Exception as error:  # of any kind; it goes on there in words
        return f"{type(error).__name__}: {error}".splitlines()[0]
