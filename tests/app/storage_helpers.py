"""Small detectors to keep, and processes and threads that change them at the same time."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import ConflictError
from app.storage import Storage
from detector.detector import Detector
from detector.moments import Moments
from detector.spec import Spec

SCORES = np.array([0.5, 1.0, 1.5])
"""Of calibration images."""


def detector(name: str = "bolts", seed: int = 0) -> Detector:
    """Return a new detector; it differs by seed in what it was fitted to."""
    rows = np.random.default_rng(seed).normal(size=(9, 3))
    return Detector(
        Spec(name, "se-lite0", "f" * 64, scorer="gaussian"), statistics={"block": Moments.of(rows)}
    )


def following(old: Detector, seed: int = 1) -> Detector:
    """Return a next version."""
    return replace(detector(old.spec.name, seed), version=old.version + 1)


def same(one: Detector, other: Detector) -> bool:
    """Return whether two detectors are equal to the bit, but for the scorer made on demand."""
    if (one.spec, one.version, one.threshold) != (other.spec, other.version, other.threshold):
        return False
    np.testing.assert_array_equal(one.calibration, other.calibration)
    assert one.statistics.keys() == other.statistics.keys()
    for block, moments in one.statistics.items():
        twin = other.statistics[block]
        assert isinstance(moments, Moments)
        assert isinstance(twin, Moments)
        assert moments.n == twin.n
        np.testing.assert_array_equal(moments.mean, twin.mean)
        np.testing.assert_array_equal(moments.scatter, twin.scatter)
    return True


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run calls in threads that start together; return results or exceptions, in order."""
    together = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def one(place: int, call: Callable[[], Any]) -> None:
        together.wait()
        try:
            outcomes[place] = call()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=one, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def change_again_and_again(directory: Path, times: int) -> list[int]:
    """Put so many new versions in service, against others that do; return which were ours."""
    storage = Storage(directory)
    won: list[int] = []
    while len(won) < times:
        old = storage.get("bolts").detector
        try:
            won.append(storage.put(old, following(old, seed=old.version)).detector.version)
        except ConflictError:
            continue
    storage.close()
    return won
