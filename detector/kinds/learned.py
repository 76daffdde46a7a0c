"""A kind's network that has learned from normal samples: trained, kept as a file, read again.

The file holds the weights (safetensors) and, in its header, kind, view, settings and the report of
the training. Its fingerprint is the backbone's (``models.backbone``): what was fitted on one is
meaningless on another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from detector.kinds.kind import LearnedKind, SamplePreparation
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

    @property
    def fingerprint(self) -> str:
        """Digest of network, weights and preparation."""
        return self.embedder.fingerprint

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
    """Return where networks run: ``auto`` is CUDA when present."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


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
        seconds: most that training takes.
        tick: called with 1 after every step, at most ``steps_of`` times; may raise, to stop it.

    Raises:
        DegenerateDataError: if there are too few samples, or nothing can be learned from them.
    """
    if len(samples) < MIN_SAMPLES:
        raise DegenerateDataError(
            f"{len(samples)} usable {kind.sample}(s): a network needs {MIN_SAMPLES} to learn from"
        )
    settings = kind.settings(samples, view)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network, preparation = kind.network(view, settings)
        task = kind.task(network, view, settings)
        arrays = [prepared(sample, preparation) for sample in samples]
        try:
            report = train(
                task,
                preparation,
                arrays,
                device=torch.device(device),
                plan=kind.plan,
                seed=seed,
                seconds=seconds,
                tick=tick,
            )
        except FloatingPointError as error:
            raise DegenerateDataError(str(error)) from error
    return _ready(kind, view, settings, report, network, preparation, device)


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
