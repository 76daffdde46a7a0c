"""Windows of BGL's log lines, normal against alerts, and sessions whose order alone goes wrong.

The label is taken off every line. What is normal:

==========================  ====================================================================
set                         train and test
==========================  ====================================================================
bgl-5, bgl-10, bgl-20       windows of so many lines without an alert, of every other hundred
                            lines (train, overlapping by half) and of the hundreds between (test)
bgl-10-later                windows of 10 of the first 60 in 100 lines (train), and of what comes
                            later, when other messages are usual: a fifth of the words of its
                            normal windows were never seen
sessions                    generated sessions of a store's events as JSON tokens. Anomalies: two
                            neighbours swapped, one event left out, said twice, or never seen
==========================  ====================================================================

Data: BGL of loghub, 2000 lines; Oliner & Stearley, "What Supercomputers Say: A Study of Five System
Logs", DSN 2007. No window has lines of two hundreds, so that train and test share none.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.covariance import OAS
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from detector.kinds.sequence import KIND as SEQUENCES

KIND = "sequence"
HUNDRED = 100
EARLIER = 0.6
ANOMALIES = ("swapped", "left-out", "twice", "unseen")
SESSIONS, GOOD, EACH = 400, 150, 40

_NORMAL = re.compile(
    r"open( alloc write( retry)? ack sync| read verify( retry)? ack){1,4} flush close"
)

Labelled = tuple[str, bool]


def sets(shared: Path, out: Path) -> list[Path]:
    """Write the sets; return their folders."""
    lines = bgl(shared)
    folders = []
    hundreds = range(0, len(lines), HUNDRED)
    for size in (5, 10, 20):
        train, test = (
            [lines[start : start + HUNDRED] for start in hundreds[which::2]] for which in (0, 1)
        )
        folders.append(_windows(out / f"bgl-{size}", train, test, size))
    cut = int(EARLIER * len(lines))
    folders.append(_windows(out / "bgl-10-later", [lines[:cut]], [lines[cut:]], 10))
    folders.append(_sessions(out / "sessions"))
    return folders


def bgl(shared: Path) -> list[Labelled]:
    """Return the lines of the log without their label, and whether each is an alert."""
    text = (shared / "logs" / "BGL" / "BGL_2k.log").read_text("utf-8")
    found = []
    for line in text.splitlines():
        label, _, message = line.partition(" ")
        found.append((message, label != "-"))
    return found


def session(rng: np.random.Generator, anomaly: str | None = None) -> list[str]:
    """Return the events of a session, of which one or two neighbours are odd if so wished."""
    events = ["open"]
    for _ in range(rng.integers(1, 5)):
        part = (
            ["alloc", "write", "ack", "sync"] if rng.random() < 0.6 else ["read", "verify", "ack"]
        )
        if rng.random() < 0.15:
            part.insert(2, "retry")
        events += part
    events += ["flush", "close"]
    if anomaly is None:
        return events
    spoilt = events
    while _NORMAL.fullmatch(" ".join(spoilt)):  # without its "retry" a session is normal, too
        spoilt = _spoilt(events, anomaly, int(rng.integers(0, len(events) - 1)))
    return spoilt


def _spoilt(events: list[str], anomaly: str, at: int) -> list[str]:
    """Return the events, odd at one place; no two neighbours are alike, so every swap is one."""
    before, one, other, after = events[:at], events[at], events[at + 1], events[at + 2 :]
    odd = {
        "swapped": [other, one],
        "left-out": [other],
        "twice": [one, one, other],
        "unseen": [one, "fault", other],
    }
    return [*before, *odd[anomaly], *after]


def baseline(
    train: Sequence[Path], test: Sequence[Path], seed: int
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """Return the scores of three detectors on TF-IDF of the words that our kind sees, too.

    On the raw words every address and number is a word of its own; these do better.
    """
    view = SEQUENCES.view({})

    def words(paths: Iterable[Path]) -> list[tuple[str, ...]]:
        return [SEQUENCES.decode(path.read_bytes(), view).tokens for path in paths]

    rated = TfidfVectorizer(analyzer=list)
    fitted, asked = rated.fit_transform(words(train)), rated.transform(words(test))
    reduced = TruncatedSVD(min(64, min(fitted.shape) - 1), random_state=seed).fit(fitted)
    gaussian = OAS().fit(reduced.transform(fitted))
    forest = IsolationForest(n_estimators=300, random_state=seed).fit(fitted)
    neighbours = NearestNeighbors(n_neighbors=1, metric="cosine").fit(fitted)
    return {
        "TF-IDF, Gaussian": gaussian.mahalanobis(reduced.transform(asked)),
        "TF-IDF, isolation forest": -forest.score_samples(asked),
        "TF-IDF, nearest neighbour": neighbours.kneighbors(asked)[0][:, 0],
    }


def _windows(
    folder: Path, train: Sequence[Sequence[Labelled]], test: Sequence[Sequence[Labelled]], size: int
) -> Path:
    """Write windows of stretches of lines; of the train stretches those without an alert."""
    for split, stretches, step in (("train", train, max(1, size // 2)), ("test", test, size)):
        windows = [
            stretch[start : start + size]
            for stretch in stretches
            for start in range(0, len(stretch) - size + 1, step)
        ]
        for number, window in enumerate(windows):
            alert = any(odd for _, odd in window)
            if alert and split == "train":
                continue
            text = "".join(f"{line}\n" for line, _ in window)
            _write(folder / split / ("alert" if alert else "good") / f"{number:04}.log", text)
    return folder


def _sessions(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    wanted: list[tuple[str, str | None, int]] = [
        ("train/good", None, SESSIONS),
        ("test/good", None, GOOD),
        *((f"test/{anomaly}", anomaly, EACH) for anomaly in ANOMALIES),
    ]
    for split, anomaly, count in wanted:
        for number in range(count):
            text = json.dumps({"tokens": session(rng, anomaly)})
            _write(folder / split / f"{number:04}.json", text)
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
