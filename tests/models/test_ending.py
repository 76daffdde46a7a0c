"""Law: a program that ends waits for what must not be cut, and begins no more of it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import atexit, threading, time

began = threading.Event()

@atexit.register  # runs after what is registered later
def after():
    from models.ending import waited_for
    try:
        with waited_for():
            print("began at the end", flush=True)
    except RuntimeError as error:
        print(error, flush=True)

from models.ending import waited_for

def work():
    with waited_for():
        began.set()
        time.sleep(1)
        print("whole", flush=True)

threading.Thread(target=work, daemon=True).start()
began.wait()
"""


def test_a_program_waits_for_what_it_must_not_cut() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["whole", "the program ends"]
