"""Identifiers of requests and scored images."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from app.ids import new_id


def test_they_are_unique_on_any_thread() -> None:
    """Contract: 32 hexadecimal digits."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: new_id(), range(20_000)))
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in found)


FORKS = """
import os
from app.ids import new_id
reads, writes = os.pipe()
if not os.fork():
    os.write(writes, new_id().encode())
    os._exit(0)
os.wait()
print(os.read(reads, 32).decode(), new_id())
"""


def test_a_fork_has_its_own() -> None:
    """Law: what a process and its child make after the fork is never the same."""
    said = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    theirs, ours = said.stdout.split()
    assert len(theirs) == len(ours) == 32
    assert theirs != ours
