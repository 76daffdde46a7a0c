"""The process that exports a network: it ends with the one that asked, and without a word."""

import os
import signal
import subprocess
import sys
import time
from operator import methodcaller
from pathlib import Path

import pytest
from torch import nn

from models import onnx_export
from models.packed import PackedNetwork
from models.preprocess import LITE0

ROOT = Path(__file__).parents[2]
PROGRAM = """
import contextlib, multiprocessing, signal, sys, threading, time
from torch import nn
from models import onnx_export
from models.packed import PackedNetwork
from models.preprocess import LITE0

signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.SIG_DFL)  # as of a server that starts
large = PackedNetwork(nn.Sequential(nn.Linear(1000, 1000)))

def export():
    with contextlib.suppress(RuntimeError):  # it may be told that the other has ended
        onnx_export.export_apart(large, LITE0, 3, 64)

threading.Thread(target=export, daemon=True).start()
while not multiprocessing.active_children():
    time.sleep(0.01)
(child,) = multiprocessing.active_children()
print(child.pid, flush=True)
if sys.argv[1] == "wait":
    time.sleep(60)
"""
"""A network of 4 MB, more than a pipe holds, in a process that ends before it is exported."""


def is_there(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("after_s", [0.0, 1.0])
@pytest.mark.parametrize("how", ["exit", "SIGINT", "SIGTERM", "SIGKILL"])
def test_it_ends_with_the_one_that_asked(how: str, after_s: float) -> None:
    """Contract: whenever and however that ends, by Ctrl-C for both, too; no traceback."""
    command = [sys.executable, "-c", PROGRAM, "exit" if how == "exit" else "wait"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        child = int(process.stdout.readline())
        time.sleep(after_s)
        if how == "SIGINT":
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        elif how != "exit":
            process.send_signal(signal.Signals[how])
        said = process.stderr.read()  # until the child has ended, too: it has the same
        process.wait(120)
    assert said == ""
    deadline = time.monotonic() + 120
    while is_there(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_asked_is_told_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: also where it ends before it has taken the network."""
    monkeypatch.setattr(onnx_export, "_export_over", methodcaller("close"))
    with pytest.raises(RuntimeError, match="cannot be exported: its process ended"):
        onnx_export.export_apart(PackedNetwork(nn.Linear(1000, 1000)), LITE0, 3, 64)


def test_interrupts_are_heard_again() -> None:
    """Contract: only what is started meanwhile does not hear of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with onnx_export._without_interrupts():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
