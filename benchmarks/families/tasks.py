"""What is learnt: for each family its data, its question, and the network with and without SE."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.families import data
from benchmarks.families.data import Split
from models.families.audio import AudioNetwork
from models.families.graph import GraphNetwork
from models.families.image_text import ImageText
from models.families.mobilenet_v2 import MobileNetV2
from models.families.resnet import ResNet
from models.families.sequence import SequenceEncoder
from models.families.video import VideoNetwork
from models.spectrogram import LogMel
from models.tokens import Tokens, Vocabulary

Collate = Callable[[Sequence[Any]], tuple[Tensor, ...]]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """One question to one set, for networks of one family."""

    name: str
    question: str
    load: Callable[[Path, int], tuple[Split, Collate]]
    """From the shared data and a seed to samples and how they become inputs."""
    build: Callable[[Split, bool], nn.Module]
    """From the samples and whether with SE to a new network."""
    epochs: int
    batch: int = 32
    binary: bool = False
    """Whether the measure is the AUROC of label 1, and not the share of right answers."""


def _digits(shared: Path, _seed: int) -> tuple[Split, Collate]:
    split, mel = data.digits(shared), LogMel()
    spectrograms = [mel.prepare(wave, mel.rate_hz) for wave in split.samples]
    return Split(spectrograms, split.labels, split.test), lambda s: mel.inputs(s, CPU)[0]


def _graphs(name: str, shared: Path, seed: int) -> tuple[Split, Collate]:
    return data.graphs(shared, name, seed), pack


def pack(samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return graphs as one: nodes and edges one after another, and each graph's nodes counted."""
    sizes = [len(nodes) for nodes, _ in samples]
    first = np.cumsum([0, *sizes[:-1]])
    nodes = np.concatenate([nodes for nodes, _ in samples])
    edges = [edges + start for (_, edges), start in zip(samples, first, strict=True)]
    return (
        torch.from_numpy(nodes),
        torch.from_numpy(np.concatenate(edges, axis=1)),
        torch.tensor(sizes),
    )


def _lines(shared: Path, seed: int) -> tuple[Split, Collate]:
    split = data.log_lines(shared, seed)
    learnt = [line for line, held in zip(split.samples, split.test, strict=True) if not held]
    words = Vocabulary.fit(learnt)
    ids = [words.encode(line) for line in split.samples]
    tokens = Tokens(words)
    return Split(ids, split.labels, split.test), lambda s: tokens.inputs(s, CPU)[0]


def pixels(samples: Sequence[np.ndarray]) -> Tensor:
    """Return pictures as the networks take them, about -1 to 1."""
    return (torch.from_numpy(np.stack(samples)).float() - 127) / 64


def _garments(shared: Path, _seed: int) -> tuple[Split, Collate]:
    return data.garments(shared), lambda samples: (pixels(samples),)


def _named(shared: Path, seed: int) -> tuple[Split, Collate]:
    split = data.named_garments(shared, seed)
    words = Vocabulary.fit(words for _, words in split.samples)
    tokens = Tokens(words)

    def collate(samples: Sequence[tuple[np.ndarray, list[str]]]) -> tuple[Tensor, ...]:
        told, weights = tokens.inputs([words.encode(text) for _, text in samples], CPU)[0]
        return pixels([picture for picture, _ in samples]), told, weights

    return split, collate


def _moving(_shared: Path, seed: int) -> tuple[Split, Collate]:
    return data.moving_patterns(seed), lambda s: (torch.from_numpy(np.stack(s)),)


def _of_graph(squeeze: str, split: Split, se: bool) -> nn.Module:
    inputs = split.samples[0][0].shape[1]
    return GraphNetwork(inputs, 2, squeeze=squeeze, se=se)  # type: ignore[arg-type]


def _of_pair(coupling: str, _split: Split, se: bool) -> nn.Module:
    return ImageText(64, 2, widths=(16, 32, 64), coupling=coupling, se=se)  # type: ignore[arg-type]


TASKS = (
    Task(
        "resnet / clothing",
        "which of ten garments, 48 px",
        _garments,
        lambda _split, se: ResNet(18, width=16, classes=10, reduction=4, se=se),
        epochs=12,
    ),
    Task(
        "mobilenet_v2 / clothing",
        "which of ten garments, 48 px",
        _garments,
        lambda _split, se: MobileNetV2(0.25, classes=10, reduction=4, se=se),
        epochs=20,
    ),
    Task(
        "video / moving gratings",
        "which of eight directions",
        _moving,
        lambda _split, se: VideoNetwork((8, 16, 32), classes=8, se=se),
        epochs=8,
    ),
    Task(
        "video_frames / moving gratings",
        "which of eight directions",
        _moving,
        lambda _split, se: VideoNetwork((8, 16, 32), classes=8, penalty=2.0, se=se),
        epochs=8,
    ),
    Task(
        "audio / spoken digits",
        "which of ten digits",
        _digits,
        lambda _split, se: AudioNetwork((16, 32, 64), classes=10, se=se),
        epochs=20,
    ),
    *(
        Task(
            f"graph, {squeeze} / {name}",
            "which of two classes",
            partial(_graphs, name),
            partial(_of_graph, squeeze),
            epochs=epochs,
            binary=True,
        )
        for name, epochs in (("MUTAG", 60), ("PROTEINS", 20))
        for squeeze in ("average", "sum")
    ),
    Task(
        "transformer / BGL lines",
        "alert or not, on templates never seen",
        _lines,
        lambda split, se: SequenceEncoder(
            2 + max(int(line.max()) for line in split.samples), 2, se=se
        ),
        epochs=8,
        binary=True,
    ),
    *(
        Task(
            f"image and text, {coupling} / four garments",
            "does the name belong to the garment",
            _named,
            partial(_of_pair, coupling),
            epochs=40,
            binary=True,
        )
        for coupling in ("joint", "bilinear")
    ),
)
