"""What stands between a kind's samples and its network."""

from typing import Any, Protocol

import numpy as np

from models.preprocess import Preparation


class SamplePreparation(Preparation, Protocol):
    """A ``Preparation`` that takes what its kind's ``decode`` gives."""

    def prepare(self, sample: Any) -> np.ndarray:
        """Return one array that the network is shown; thread-safe. Raises ValueError."""
