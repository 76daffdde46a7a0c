"""What a kind of data is: from the untrusted bytes of one sample to a network that knows normal.

A kind says what one sample is (media types, suffixes, limits, how its bytes are read), and, unless
its network comes trained, which SE network learns from normal samples, by which task, and how
the places of that network are shown. Everything else of the service is the same for all kinds: it
sees prepared arrays, and rows.

One sample goes: bytes -> ``decode`` -> sample -> ``Preparation.prepare`` -> one array -> network.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from detector.errors import InvalidSpecError
from models.plan import Plan

if TYPE_CHECKING:  # torch is for those that learn; what a sample is can be told without it
    from torch import nn

    from detector.kinds.preparation import SamplePreparation
    from models.self_supervision import Task

SampleT = TypeVar("SampleT")
"""What ``decode`` gives: a waveform, frames, a graph, tokens."""
ViewT = TypeVar("ViewT")
"""How a sample is looked at: a frozen dataclass with a default for every field."""

Shares = Mapping[str, Float[np.ndarray, "..."]]
"""Block -> how much of the score each place of its map is; all of them sum to the score."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a map: what it is, in which unit ("" for names), and the value of each index."""

    name: str
    unit: str
    values: tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """Where the score comes from: every place's share of it, over named axes.

    The shares of all maps of a sample sum to its score; a share below 0 speaks for the sample.
    """

    name: str
    axes: tuple[Axis, ...]
    values: Float[np.ndarray, "..."]


class Kind:
    """What one sample is; the same for every detector of the kind.

    Attributes:
        name: of the kind.
        sample: what one is called.
        media_types: of a body that is one sample, ``audio/*`` for all of a type.
        suffixes: of a file that is one sample, in lower case, with their dots.
        json: whether a sample is a JSON value (its bytes are the text).
        archives: whether a sample may be a zip file itself.
        pairs: whether a sample may come as a file and a text, which ``pair`` makes one; then
            ``suffixes`` has those of the files as well.
        limits: most (or fewest) of what one may have; shown by ``GET /v1/info``.
    """

    name: ClassVar[str]
    sample: ClassVar[str]
    media_types: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]]
    json: ClassVar[bool] = False
    archives: ClassVar[bool] = False
    pairs: ClassVar[bool] = False
    limits: ClassVar[Mapping[str, float]] = {}

    def pair(self, file: bytes, text: str) -> bytes:
        """Return the bytes of the one sample that a file and its text are, if ``pairs``."""
        raise NotImplementedError(self.name)


class LearnedKind(Kind, ABC, Generic[SampleT, ViewT]):
    """A kind whose network is trained on the user's normal samples, when a detector is fitted.

    Attributes:
        View: the class of how samples are looked at.
        scorer: what judges unless another is asked for.
        most_samples: most that the network learns from, all in memory; of more, so many are drawn.
        plan: of training.
        located_always: whether every score comes with where it comes from.
    """

    View: ClassVar[type[Any]]
    scorer: ClassVar[str] = "gaussian"
    most_samples: ClassVar[int] = 1000
    plan: ClassVar[Plan] = Plan()
    located_always: ClassVar[bool] = False

    def view(self, values: Mapping[str, Any]) -> ViewT:
        """Return how samples are looked at, of plain values; the rest is as by default.

        Raises:
            InvalidSpecError: if there is no such value, or it is of another type or out of range.
        """
        known = {field.name: field.type for field in fields(self.View)}
        plain = dict(values)
        for name, value in values.items():
            if name not in known:
                raise InvalidSpecError(
                    f"kind {self.name!r} has no view {name!r}; there is: {', '.join(known)}"
                )
            wanted: Any = known[name]
            if wanted is float and type(value) is int:
                plain[name] = float(value)
                continue
            if type(value) is not wanted:
                raise InvalidSpecError(f"view {name!r} must be {wanted.__name__}, got {value!r}")
        view: ViewT = self.View(**plain)
        return view

    def require_installed(self) -> None:
        """Refuse to begin without the packages that read this kind. Raises InvalidSpecError."""

    @abstractmethod
    def decode(self, content: bytes, view: ViewT) -> SampleT:
        """Return the sample in a file that a stranger sent; thread-safe.

        Raises:
            UndecodableSampleError: if it is empty, truncated, damaged or no such thing.
            UnsupportedSampleError: if its format or something in it is not accepted.
            SampleTooLargeError: if it is over a limit; found out before it is all in memory.
        """

    def weight(self, sample: SampleT) -> int:
        """Return about how many bytes a decoded sample takes in memory."""
        return sum(
            part.nbytes if isinstance(part, np.ndarray) else 50 * len(part)
            for part in _parts(sample)
        )

    @abstractmethod
    def settings(self, samples: Sequence[SampleT], view: ViewT) -> dict[str, Any]:
        """Return what preparation and network must know of the normal samples, as JSON values.

        A vocabulary, say, or the names of features; {} if nothing.

        Raises:
            DegenerateDataError: if nothing can be learned from these samples.
        """

    @abstractmethod
    def network(
        self, view: ViewT, settings: Mapping[str, Any]
    ) -> "tuple[nn.Module, SamplePreparation]":
        """Return a network that has learned nothing yet, with its preparation."""

    @abstractmethod
    def task(self, network: "nn.Module", view: ViewT, settings: Mapping[str, Any]) -> "Task":
        """Return what the network is trained by."""

    @abstractmethod
    def locate(self, sample: SampleT, view: ViewT, shares: Shares) -> tuple[Located, ...]:
        """Return where the score comes from, in terms of the sample.

        Args:
            sample: one.
            view: how it was looked at.
            shares: of every place of every block's map; what is returned has the same sum.
        """

    @abstractmethod
    def picture(
        self,
        sample: SampleT,
        view: ViewT,
        located: Sequence[Located],
        threshold: float | None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return a picture of the sample that shows where its score comes from."""


def _parts(sample: object) -> list[Any]:
    """Return the arrays and the collections that a sample is, or a dataclass of them has."""
    values = [sample]
    if is_dataclass(sample):
        values = [getattr(sample, field.name) for field in fields(sample)]
    return [value for value in values if isinstance(value, np.ndarray | Sized)]
