"""One set: a detector of the service and the baselines, on the same files; who ranks better.

The difference of two AUROCs has an interval by bootstrap over the test samples, normal and
anomalous ones drawn apart, both contestants on the same draws. Source: Efron & Tibshirani, "An
Introduction to the Bootstrap" (1993), chapter 13 (percentile intervals).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from detector.metrics import auroc, auroc_interval
from gatewatch import Client

DRAWS = 2000
PIECE = 50
"""Samples of one request."""

Baseline = Callable[[Sequence[Path], Sequence[Path], int], Mapping[str, Float[np.ndarray, " n"]]]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a set: normal ones to fit, and test samples with what they are."""

    name: str
    train: list[Path]
    test: list[Path]
    anomalous: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, folder: Path) -> "Files":
        """Return those of a folder, sorted by path."""
        test = sorted(path for path in folder.glob("test/*/*") if path.is_file())
        anomalous = np.array([path.parent.name != "good" for path in test])
        return cls(folder.name, sorted(folder.glob("train/good/*")), test, anomalous)


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well a contestant ranks the anomalous test samples above the normal ones."""

    name: str
    auroc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a set; the difference is the service's AUROC less the best baseline's."""

    kind: str
    set: str
    train: int
    normal: int
    anomalous: int
    ours: Ranking
    baselines: list[Ranking]
    difference: tuple[float, float, float]
    """With its interval."""
    fit_s: float
    """Training of the network and fit."""
    score_ms: float
    """A sample, in requests of 50."""

    @property
    def best(self) -> Ranking:
        """The baseline that ranks best on this set."""
        return max(self.baselines, key=lambda ranking: ranking.auroc)


def contest(client: Client, kind: str, folder: Path, baseline: Baseline) -> Outcome:
    """Fit and score one set by the service and by the baselines."""
    files = Files.of(folder)
    name = f"{kind}-{files.name}"[:63]
    client.create(name, kind=kind)
    began_s = time.perf_counter()
    client.fit(name, files.train).wait()
    fit_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    scores = np.array(
        [
            result.score if result.score is not None else np.nan
            for start in range(0, len(files.test), PIECE)
            for result in client.score_batch(name, files.test[start : start + PIECE]).results
        ]
    )
    score_s = time.perf_counter() - began_s
    if np.isnan(scores).any():
        raise RuntimeError(f"{int(np.isnan(scores).sum())} samples of {folder} were not scored")
    others = baseline(files.train, files.test, 0)
    ours = _ranking("gatewatch", scores, files.anomalous)
    baselines = [_ranking(each, values, files.anomalous) for each, values in others.items()]
    best = max(baselines, key=lambda ranking: ranking.auroc).name
    return Outcome(
        kind=kind,
        set=files.name,
        train=len(files.train),
        normal=int((~files.anomalous).sum()),
        anomalous=int(files.anomalous.sum()),
        ours=ours,
        baselines=baselines,
        difference=difference(scores, others[best], files.anomalous),
        fit_s=fit_s,
        score_ms=1e3 * score_s / len(files.test),
    )


def difference(
    ours: Float[np.ndarray, " n"],
    theirs: Float[np.ndarray, " n"],
    anomalous: Bool[np.ndarray, " n"],
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return by how much our AUROC is higher, and the 95 % interval of that."""
    rng = np.random.default_rng(seed)
    places = [np.flatnonzero(anomalous), np.flatnonzero(~anomalous)]
    found = np.empty(DRAWS)
    for draw in range(DRAWS):
        which = np.concatenate([rng.choice(each, len(each)) for each in places])
        found[draw] = auroc(ours[which], anomalous[which]) - auroc(theirs[which], anomalous[which])
    low, high = np.quantile(found, [0.025, 0.975])
    return auroc(ours, anomalous) - auroc(theirs, anomalous), float(low), float(high)


def _ranking(
    name: str, scores: Float[np.ndarray, " n"], anomalous: Bool[np.ndarray, " n"]
) -> Ranking:
    low, high = auroc_interval(scores, anomalous)
    return Ranking(name, auroc(scores, anomalous), low, high)
