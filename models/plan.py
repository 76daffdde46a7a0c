"""How long a network learns, and how fast: numbers alone, which a kind of data names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """How long is learned, and how fast.

    Attributes:
        batch: samples of a step.
        steps: of a round.
        rounds: most of them.
        patience: rounds that may pass without gain.
        rate: highest learning rate of AdamW.
        decay: weight decay.
    """

    batch: int = 16
    steps: int = 50
    rounds: int = 12
    patience: int = 3
    rate: float = 2e-3
    decay: float = 1e-4
