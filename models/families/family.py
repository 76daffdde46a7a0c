"""A family of SE networks: how to build a small member of it, and what to show it.

``models.families.FAMILIES`` lists them all; the contract tests, the table of
``docs/se-networks.md`` and the benchmark go through that list, so that a new family is a file and
a line there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Family:
    """A small network of the family, seconds to train, and inputs that it takes.

    A network has ``forward_features(*inputs)``, what its last stage gives, and
    ``forward(*inputs)``, logits (b, classes).
    """

    name: str
    kind: str
    """What it sees: image, video, audio, graph, sequence, image_text."""
    build: Callable[[], nn.Module]
    """Return a new network; with two classes, random weights, in training mode."""
    build_plain: Callable[[], nn.Module]
    """Return the same network without SE, to be compared with."""
    example: Callable[[int], tuple[Tensor, ...]]
    """Return random inputs of b samples, as the network takes them."""
    batch_axes: tuple[int | None, ...]
    """For each input, the axis that grows with the batch; None where none does."""
    source: str
    """Paper and section."""
