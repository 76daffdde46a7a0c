"""Identifiers of requests and scored images: unique, and nobody's secret.

They can be predicted by whoever knows some: nothing may be allowed to who knows one.

``uuid4`` asks the system each time and lets go of the interpreter for that: under load the event
loop may have to wait until it has it again.
"""

import os
import random

_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> str:
    """Return 32 hexadecimal digits; on any thread."""
    return f"{_random.getrandbits(128):032x}"
