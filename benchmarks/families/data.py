"""The data of the training runs: read from the shared sets, or generated.

Each function returns a ``Split``: samples as the task wants them, labels, and which are held out.
What is held out is fixed where the set says so, and drawn by seed where it does not.
"""

import csv
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX, TRAIN_PER_CLASS = 48, 60
FRAMES, CLIP_PX, CLIPS = 12, 24, 1200
DIRECTIONS = 8
NAMED = ("dress", "hat", "pants", "shoes")
"""Garments that small networks tell apart after some hundred pictures."""


@dataclass(frozen=True)
class Split:
    """Samples, labels (n,) and whether each is held out (n,)."""

    samples: list[Any]
    labels: NDArray[np.int64]
    test: NDArray[np.bool_]


def digits(shared: Path) -> Split:
    """Spoken digits at 8 kHz; takes 0-4 are held out, by the rule of the set's origin."""
    samples, labels, test = [], [], []
    for path in sorted((shared / "fsdd" / "recordings").glob("*.wav")):
        digit, _, take = path.stem.split("_")
        with wave.open(str(path)) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        samples.append((pcm / 32768).astype(np.float32))
        labels.append(int(digit))
        test.append(int(take) < 5)
    return Split(samples, np.array(labels), np.array(test))


def graphs(shared: Path, name: str, seed: int) -> Split:
    """Graphs as (one-hot node tags (n, tags), edges (2, e)); a fifth is held out."""
    lines = (shared / "graphs" / name / f"{name}.txt").read_text().splitlines()
    position, raw = 1, []
    for _ in range(int(lines[0])):
        count, label = map(int, lines[position].split()[:2])
        nodes = [line.split() for line in lines[position + 1 : position + 1 + count]]
        position += 1 + count
        edges = [
            (int(other), node)
            for node, fields in enumerate(nodes)
            for other in fields[2 : 2 + int(fields[1])]
        ]
        tags = np.array([int(fields[0]) for fields in nodes])
        raw.append((tags, np.array(edges, np.int64).reshape(-1, 2).T, label))
    width = 1 + max(int(tags.max()) for tags, _, _ in raw)
    kinds = sorted({label for _, _, label in raw})
    samples = [(np.eye(width, dtype=np.float32)[tags], edges) for tags, edges, _ in raw]
    labels = np.array([kinds.index(label) for _, _, label in raw])
    return Split(samples, labels, _fifth(len(raw), seed))


def log_lines(shared: Path, seed: int) -> Split:
    """Words of log lines, alert (1) or not (0); held out are templates that training never saw."""
    with (shared / "logs" / "BGL" / "BGL_2k.log_structured.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["Label"] != "-") for row in rows])
    rng = np.random.default_rng(seed)
    held: set[str] = set()
    for kind in (0, 1):  # a third of the templates of each kind
        ids = sorted(
            {row["EventId"] for row, label in zip(rows, labels, strict=True) if label == kind}
        )
        held.update(rng.permutation(ids)[: len(ids) // 3])
    test = np.array([row["EventId"] in held for row in rows])
    return Split([row["Content"].lower().split() for row in rows], labels, test)


def garments(shared: Path, names: Sequence[str] = (), per_class: int = TRAIN_PER_CLASS) -> Split:
    """Clothing, so many of each class, uint8 (3, 48, 48); the set's test split is held out.

    Args:
        shared: folder of the shared data.
        names: of the classes, in the order of their labels; empty for all ten.
        per_class: how many are learnt of each, at most.
    """
    names = names or sorted(path.name for path in (shared / "clothing" / "train").iterdir())
    samples, labels, test = [], [], []
    for split in ("train", "test"):
        for label, name in enumerate(names):
            paths = sorted((shared / "clothing" / split / name).iterdir())
            for path in paths[:per_class] if split == "train" else paths:
                with Image.open(path) as image:
                    pixels = np.asarray(image.convert("RGB").resize((SIDE_PX, SIDE_PX)))
                samples.append(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
                labels.append(label)
                test.append(split == "test")
    return Split(samples, np.array(labels), np.array(test))


def named_garments(shared: Path, seed: int) -> Split:
    """Four kinds of garment with a name, (pixels, words): is it the picture's (1)?"""
    plain = garments(shared, NAMED, per_class=150)
    rng = np.random.default_rng(seed)
    matches = rng.permutation(len(plain.samples)) % 2
    shift = rng.integers(1, len(NAMED), size=len(plain.samples))
    told = np.where(matches == 1, plain.labels, (plain.labels + shift) % len(NAMED))
    samples = [
        (pixels, ["a", "picture", "of", NAMED[label]])
        for pixels, label in zip(plain.samples, told, strict=True)
    ]
    return Split(samples, matches, plain.test)


def moving_patterns(seed: int) -> Split:
    """Clips of moving gratings in noise, float32 (3, t, h, w): in which of 8 directions?

    Orientation, wavelength, phase, contrast and speed are drawn anew for each clip, so that no
    single frame tells the direction from its opposite.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:CLIP_PX, 0:CLIP_PX]
    frames = np.arange(FRAMES)[:, None, None]
    labels = rng.integers(DIRECTIONS, size=CLIPS)
    samples = []
    for label in labels:
        angle = 2 * np.pi * (label + rng.uniform(-0.25, 0.25)) / DIRECTIONS
        along = np.cos(angle) * x + np.sin(angle) * y
        wave_ = 2 * np.pi * (along - rng.uniform(0.5, 1.5) * frames) / rng.uniform(6, 12)
        clip = rng.uniform(0.3, 1) * np.sin(wave_ + rng.uniform(0, 2 * np.pi))
        clip = clip[None] * rng.uniform(0.3, 1, size=(3, 1, 1, 1))
        samples.append((clip + rng.normal(0, 0.7, size=clip.shape)).astype(np.float32))
    return Split(samples, labels, _fifth(CLIPS, seed))


def _fifth(count: int, seed: int) -> NDArray[np.bool_]:
    order = np.random.default_rng([seed, 1]).permutation(count)
    held: NDArray[np.bool_] = order % 5 == 0
    return held
