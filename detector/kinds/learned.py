"""A kind's network that has learned from normal samples: trained, kept as a file, read again.

The file holds the weights (safetensors) and, in its header, kind, view, settings and the report of
the training. The fingerprint is a digest of the backbone's (``models.backbone``), the view and the
settings: what was fitted on one is meaningless on another.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from detector.embedder import Embedder
from detector.errors import (
    ArtefactError,
    DegenerateDataError,
    InvalidSpecError,
    UndecodableSampleError,
)
from detector.kinds.kind import LearnedKind
from detector.kinds.preparation import SamplePreparation
from detector.tensor_file import pack, unpack
from models.backbone import Backbone
from models.self_supervision import MIN_SAMPLES, Report, train

FORMAT = 1
_FILE = "network"


@dataclass(frozen=True)
class Learned:
    """A network with all that it takes to show it a sample.

    Attributes:
        kind: of the samples.
        view: how they are looked at.
        settings: what was learned of them before the network was.
        report: what training did.
        embedder: drives the network.
        preparation: of samples.
    """

    kind: LearnedKind[Any, Any]
    view: Any
    settings: Mapping[str, Any]
    report: Report
    embedder: Embedder
    preparation: SamplePreparation
    weights: Mapping[str, np.ndarray]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of network, weights, preparation and view."""
        seen = json.dumps([asdict(self.view), self.settings], sort_keys=True)
        return hashlib.sha256(f"{self.embedder.fingerprint}\n{seen}".encode()).hexdigest()

    def prepare(self, content: bytes) -> np.ndarray:
        """Return the prepared sample of a file; thread-safe.

        Raises:
            SampleError: as the kind's ``decode``.
        """
        return prepared(self.kind.decode(content, self.view), self.preparation)

    def to_bytes(self) -> bytes:
        """Return the file."""
        header = {
            "name": self.kind.name,
            "view": asdict(self.view),
            "settings": self.settings,
            "report": asdict(self.report),
        }
        return pack(_FILE, FORMAT, header, self.weights)


def device_of(name: str) -> str:
    """Return where networks run: CUDA where it is present, unless the CPU is asked for.

    A process that has none embeds on its CPU: its backbone may run elsewhere (``app.ray``).
    """
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def backbone_of(kind: LearnedKind[Any, Any]) -> str:
    """Return the name of a kind's backbone."""
    return f"se-{kind.name}"


def prepared(sample: Any, preparation: SamplePreparation) -> np.ndarray:
    """Return a sample as the network is shown it.

    Raises:
        UndecodableSampleError: if it cannot be prepared.
    """
    try:
        return preparation.prepare(sample)
    except ValueError as error:
        raise UndecodableSampleError(str(error)) from error


def learn(
    kind: LearnedKind[Any, Any],
    samples: Sequence[Any],
    view: Any,
    *,
    device: str = "cpu",
    seed: int = 0,
    seconds: float = 300.0,
    tick: Callable[[int], object] = lambda _: None,
) -> Learned:
    """Train a kind's network on normal samples.

    Args:
        kind: of the samples.
        samples: decoded, in an order of their own: the result depends on it.
        view: how they are looked at.
        device: ``cpu`` or ``cuda``.
        seed: of weights, order and task.
        seconds: after which training ends, at the earliest with its first step.
        tick: called with 0 after every sample that was prepared and with 1 after every step, at
            most ``steps_of`` times; may raise, to stop it.

    Raises:
        DegenerateDataError: if there are too few samples, or nothing can be learned from them.
    """
    if len(samples) < MIN_SAMPLES:
        raise DegenerateDataError(
            f"{len(samples)} usable {kind.sample}(s): a network needs {MIN_SAMPLES} to learn from"
        )
    end_s = time.monotonic() + seconds
    settings = kind.settings(samples, view)
    with _drawn(seed):
        network, preparation = kind.network(view, settings)
        task = kind.task(network, view, settings)
    arrays = []
    for sample in samples:
        arrays.append(prepared(sample, preparation))
        tick(0)
    try:
        report = train(
            task,
            preparation,
            arrays,
            device=torch.device(device),
            plan=kind.plan,
            seed=seed,
            seconds=max(end_s - time.monotonic(), 0),
            tick=tick,
        )
    except FloatingPointError as error:
        raise DegenerateDataError(str(error)) from error
    return _ready(kind, view, settings, report, network, preparation, device)


_drawing = threading.Lock()


@contextmanager
def _drawn(seed: int) -> Iterator[None]:
    """Draw weights from torch's generator, seeded, which belongs to all threads of the process."""
    with _drawing, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def steps_of(kind: LearnedKind[Any, Any]) -> int:
    """Return how many steps training takes at most."""
    return kind.plan.steps * kind.plan.rounds


def read(kind: LearnedKind[Any, Any], content: bytes, device: str = "cpu") -> Learned:
    """Return the network in a file.

    Raises:
        ArtefactError: if it is damaged, or another kind's.
    """
    header, tensors = unpack(_FILE, FORMAT, content)
    try:
        if header["name"] != kind.name:
            raise ArtefactError(f"it is a network of kind {header['name']!r}, not {kind.name!r}")
        view = kind.view(header["view"])
        with _drawn(0):
            network, preparation = kind.network(view, header["settings"])
        weights = {name: torch.from_numpy(values.copy()) for name, values in tensors.items()}
        network.load_state_dict(weights)
        report = Report(**{**header["report"], "losses": tuple(header["report"]["losses"])})
    except (LookupError, TypeError, ValueError, RuntimeError, InvalidSpecError) as error:
        raise ArtefactError(f"it is not a network of this program: {error}") from error
    return _ready(kind, view, header["settings"], report, network, preparation, device)


def _ready(
    kind: LearnedKind[Any, Any],
    view: Any,
    settings: Mapping[str, Any],
    report: Report,
    network: nn.Module,
    preparation: SamplePreparation,
    device: str,
) -> Learned:
    weights = {name: value.cpu().numpy().copy() for name, value in network.state_dict().items()}
    backbone = Backbone(backbone_of(kind), network, preparation, torch.device(device))
    return Learned(kind, view, settings, report, Embedder(backbone), preparation, weights)
