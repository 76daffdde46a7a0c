"""A server that tests need, in a process of its own that ends with the tests however they end.

The process prints one line when it serves, and stops when its standard input is closed: by
``stop``, or by the system when the process that runs the tests was killed.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

STOP_S = 30


@contextlib.contextmanager
def serving(script: Path) -> Iterator[str]:
    """Run a script that serves until its standard input ends; give the line that it prints."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", script],  # its warnings are not ours
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests, which stop it then
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{script.name} did not start; its errors are above")
        try:
            yield line
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
