"""Published methods as anomalib implements them, on our trunk: what a report is measured against.

PatchCore, PaDiM and DFM are driven through anomalib's own torch models and training flow. Only
what has to differ does, so that methods are compared and not networks:

* the backbone is timm's ``tf_efficientnet_lite0`` with the weights of our ungated trunk;
* layers are translated by their stride from the ResNet defaults: PatchCore ``layer2`` and
  ``layer3`` (strides 8, 16), PaDiM ``layer1`` to ``layer3`` (4, 8, 16), DFM ``layer3`` (16);
* pixels are prepared and normalised as for our own backbone;
* PaDiM keeps 100 features, anomalib's figure for ResNet-18, having none for this network;
* PatchCore's coreset keeps 1 % of the patches. anomalib's default of 10 % is ten times
  the work, and 1 % took five minutes for 100 images on two busy cores.

Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", arXiv:2106.08265
(PatchCore); Defard et al., "PaDiM", arXiv:2011.08785; Ahuja et al., "Probabilistic Modeling of
Deep Features for Out-of-Distribution and Adversarial Detection", arXiv:1909.11786 (DFM).
"""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from models.preprocess import LITE0
from models.se_lite0 import lite0

OURS = "se-lite0"
"""Our backbone that shares the trunk."""

BACKBONE = f"{OURS} trunk"
CORESET = 0.01
FEATURES = 100
_TIMM_TRUNK = "tf_efficientnet_lite0"
_STRIDE_4, _STRIDE_8, _STRIDE_16 = "blocks.1", "blocks.2", "blocks.4"  # last stage of the stride


def installed() -> bool:
    """Whether anomalib is at hand; it comes with the extra ``compare``."""
    return find_spec("anomalib") is not None


class Peer:
    """One method, from learning to scores.

    Args:
        name: one of ``PEERS``.
        device: ``cpu`` or ``cuda``.
        seed: of what the method draws at random (coreset start, features kept).

    Raises:
        ModuleNotFoundError: if anomalib is not installed.
    """

    def __init__(self, name: str, device: str = "cpu", seed: int = 0) -> None:
        self.name = name
        self._device = torch.device(device)
        self._seed = seed
        with _quiet(), _seeded(seed):
            self._model = PEERS[name]()
            _load_trunk(self._model.feature_extractor.feature_extractor)
        self._model.train().to(self._device)

    def collect(self, images: Sequence[UInt8[np.ndarray, "3 s s"]]) -> None:
        """Take in prepared normal images; their features are kept until ``fit``."""
        with torch.no_grad():
            self._model(self._batch(images))

    def fit(self) -> None:
        """Learn from what was collected."""
        with _quiet(), torch.no_grad(), _seeded(self._seed):
            if self.name == "anomalib-patchcore":
                self._model.subsample_embedding(CORESET)
            else:
                self._model.fit()
        self._model.eval()

    def judge(
        self, images: Sequence[UInt8[np.ndarray, "3 s s"]]
    ) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, "n s s"]]:
        """Return score and map of every prepared image; higher is more anomalous."""
        with torch.no_grad():
            answer = self._model(self._batch(images))
        scores, maps = answer.pred_score.cpu().numpy(), answer.anomaly_map.cpu().numpy()
        return scores.reshape(-1), maps.reshape(len(images), *maps.shape[-2:])

    @property
    def state_bytes(self) -> int:
        """Size of what was learned, without the network."""
        return sum(
            buffer.numel() * buffer.element_size()
            for name, buffer in self._model.named_buffers()
            if not name.startswith(("feature_extractor.", "anomaly_map_generator."))
        )

    def _batch(self, images: Sequence[UInt8[np.ndarray, "3 s s"]]) -> torch.Tensor:
        return LITE0.normalise(torch.from_numpy(np.stack(images)).to(self._device))


def _patchcore() -> Any:
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    return PatchcoreModel(backbone=_TIMM_TRUNK, layers=[_STRIDE_8, _STRIDE_16], pre_trained=False)


def _padim() -> Any:
    from anomalib.models.image.padim.torch_model import PadimModel

    return PadimModel(
        backbone=_TIMM_TRUNK,
        layers=[_STRIDE_4, _STRIDE_8, _STRIDE_16],
        pre_trained=False,
        n_features=FEATURES,
    )


def _dfm() -> Any:
    from anomalib.models.image.dfm.torch_model import DFMModel

    return DFMModel(backbone=_TIMM_TRUNK, layer=_STRIDE_16, pre_trained=False)


PEERS: dict[str, Callable[[], Any]] = {
    "anomalib-patchcore": _patchcore,
    "anomalib-padim": _padim,
    "anomalib-dfm": _dfm,
}
"""Name of a method -> its model, untrained, with a trunk of random weights."""


def _load_trunk(network: torch.nn.Module) -> None:
    """Load our trunk's weights into timm's; the layers of both stand in the same order."""
    names, ours = network.state_dict(), lite0().state_dict()
    network.load_state_dict(dict(zip(names, ours.values(), strict=True)))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, which anomalib draws from, and put them back afterwards."""
    before = np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep anomalib's warnings of deprecated imports and its progress bars off the terminal."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
