"""Which backbone devices are asked for, and what those who ask must know of it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from app.settings import Settings
from detector.embedder import Embedder, Preparer

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Backbone:
    """What makes two backbones different; where and by what engine they run does not."""

    name: str
    precision: Precision = "float32"
    weights: str = ""
    """Path of a file that every device replica can read; empty for those shipped."""

    @classmethod
    def of(cls, settings: Settings) -> "Backbone":
        """Return the one that the settings name."""
        weights = "" if settings.weights is None else str(settings.weights)
        return cls(settings.backbone, settings.precision, weights)

    @classmethod
    def parse(cls, key: str) -> "Backbone":
        """Return the one of a key."""
        return cls(**json.loads(key))

    @property
    def key(self) -> str:
        """As Ray Serve knows it: the id of a multiplexed model."""
        return json.dumps(asdict(self), sort_keys=True)

    def load(self, settings: Settings) -> Embedder:
        """Return it on the settings' device.

        Raises:
            BackboneError: as ``Embedder.load``.
        """
        return Embedder.load(
            self.name,
            settings.device,
            settings.threads,
            weights=Path(self.weights) if self.weights else None,
            engine=settings.engine,
            precision=self.precision,
            cache=settings.data_dir / "engines",
        )


@dataclass(frozen=True, slots=True)
class Card:
    """What an ingress replica knows of a backbone that it has not loaded."""

    name: str
    device: str
    fingerprint: str
    channels: dict[str, int]
    regional: tuple[str, ...]
    preparer: Preparer
    engine: str
    """What saw pictures of the default size when this was written."""

    @classmethod
    def of(cls, embedder: Embedder, side_px: int) -> "Card":
        """Return what is to be known of an embedder."""
        return cls(
            embedder.name,
            embedder.device,
            embedder.fingerprint,
            dict(embedder.channels),
            embedder.regional,
            embedder.preparer,
            embedder.engine_of(side_px),
        )
