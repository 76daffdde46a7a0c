"""Uniform numbers that are a function of seed, stream and image number: nothing hidden to restore.

u = SplitMix64's output for state key + (number + 1) gamma, its upper 53 bits as a number in [0, 1);
the key is the output for seed and stream. They are made by the block, which is only faster.
Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with the
constants of their SplitMix64.
"""

import numpy as np
from jaxtyping import UInt64

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_BLOCK = 128


class Uniforms:
    """The uniform numbers of one stream of one seed; streams of a seed are unrelated."""

    __slots__ = ("_block", "_key", "_values")

    def __init__(self, seed: int, stream: int) -> None:
        """Take any whole number as seed, and the stream's, from 0 on."""
        states = np.array([(seed + _GAMMA) & _MASK], dtype=np.uint64)
        keyed = (int(_mixed(states)[0]) + (stream + 1) * _GAMMA) & _MASK
        self._key = int(_mixed(np.array([keyed], dtype=np.uint64))[0])
        self._block = -1
        self._values: list[float] = []

    def at(self, number: int) -> float:
        """Return the number in [0, 1) that belongs to an image."""
        block, place = divmod(number, _BLOCK)
        if block != self._block:
            first = self._key + (block * _BLOCK + 1) * _GAMMA
            steps = np.arange(_BLOCK, dtype=np.uint64) * np.uint64(_GAMMA)  # modulo 2^64
            mixed = _mixed(steps + np.uint64(first & _MASK))
            self._values = ((mixed >> np.uint64(11)) * 2.0**-53).tolist()
            self._block = block
        return self._values[place]


def _mixed(states: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Return SplitMix64's output for each state."""
    states = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    states = (states ^ (states >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, " n"] = states ^ (states >> np.uint64(31))
    return mixed
