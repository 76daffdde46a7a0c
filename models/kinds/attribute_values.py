"""The values of one attribute over many rows, in little more memory than their text.

A row has a number, a word or nothing. Lists of Python objects take 8 bytes a row and 24 to 150 more
a value; these are two sparse columns instead, of the rows that have a number and of those that have
a word. Numbers are float32 where that loses nothing of any of them, else float64; each word is
kept once, in UTF-8, and rows tell which it is. Ours.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from jaxtyping import Float, Float64, Int64, UInt

Value = float | str | None
"""Of an attribute: a number, a category, or nothing."""


def text(value: Value) -> str | None:
    """Return a value as a category: whole numbers without a point."""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return value


class Values(Sequence[Value]):
    """A column, which cannot be changed: equal to the list of its values.

    Args:
        count: of all rows.
        rows: that have a value, in order.
        values: theirs; None is as if the row were not named.
    """

    __slots__ = ("_count", "_number_rows", "_numbers", "_which", "_word_rows", "_words")

    def __init__(self, count: int, rows: Iterable[int], values: Iterable[Value]) -> None:
        given = [each for each in zip(rows, values, strict=True) if each[1] is not None]
        numbers = [(row, value) for row, value in given if not isinstance(value, str)]
        words = [(row, value) for row, value in given if isinstance(value, str)]
        places = {word: at for at, word in enumerate(dict.fromkeys(word for _, word in words))}
        self._fill(
            count,
            np.array([row for row, _ in numbers], np.int64),
            np.array([value for _, value in numbers], np.float64),
            np.array([row for row, _ in words], np.int64),
            np.array([places[word] for _, word in words], np.int64),
            list(places),
        )

    def _fill(
        self,
        count: int,
        number_rows: Int64[np.ndarray, " k"],
        numbers: Float64[np.ndarray, " k"],
        word_rows: Int64[np.ndarray, " w"],
        which: Int64[np.ndarray, " w"],
        words: Sequence[str],
    ) -> None:
        single = np.float32 if (np.abs(numbers) < np.finfo(np.float32).max).all() else np.float64
        exact = (numbers.astype(single) == numbers).all()
        of_rows = np.min_scalar_type(count)
        self._count = count
        self._numbers: Float[np.ndarray, " k"] = numbers.astype(single if exact else np.float64)
        self._number_rows: UInt[np.ndarray, " k"] = number_rows.astype(of_rows)
        self._word_rows: UInt[np.ndarray, " w"] = word_rows.astype(of_rows)
        self._which: UInt[np.ndarray, " w"] = which.astype(np.min_scalar_type(len(words)))
        self._words = json.dumps(list(words), ensure_ascii=False).encode()

    @classmethod
    def of(cls, values: Sequence[Value]) -> "Values":
        """Return the column of a list."""
        return (
            values if isinstance(values, Values) else cls(len(values), range(len(values)), values)
        )

    @classmethod
    def together(cls, columns: Sequence["Values"]) -> "Values":
        """Return columns one after another, without a Python object a row."""
        starts = np.cumsum([0, *(len(column) for column in columns)])
        placed = list(zip(columns, starts[:-1], strict=True))
        places: dict[str, int] = {}
        which = []
        for column in columns:
            own = [places.setdefault(word, len(places)) for word in column.words]
            which.append(np.array(own, np.int64)[column._which])
        joined = cls.__new__(cls)
        joined._fill(
            int(starts[-1]),
            _joined([c._number_rows + start for c, start in placed]),
            np.concatenate([np.zeros(0), *(column._numbers for column in columns)]),
            _joined([c._word_rows + start for c, start in placed]),
            _joined(which),
            list(places),
        )
        return joined

    @property
    def words(self) -> list[str]:
        """The different words, in the order of their first rows."""
        found: list[str] = json.loads(self._words)
        return found

    @property
    def known(self) -> Float64[np.ndarray, " k"]:
        """The numbers of the rows that have one."""
        return self._numbers.astype(np.float64)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about."""
        arrays = (self._numbers, self._number_rows, self._word_rows, self._which)
        return sum(array.nbytes for array in arrays) + len(self._words)

    def numbers(self) -> Float64[np.ndarray, " rows"]:
        """Return a number for every row, NaN where it has none."""
        every = np.full(self._count, np.nan)
        every[self._number_rows] = self._numbers
        return every

    def counts(self) -> Counter[str]:
        """Return how many rows have each value, as a category."""
        numbers, times = np.unique(self.known, return_counts=True)
        counts = Counter(dict(zip(self.words, np.bincount(self._which).tolist(), strict=True)))
        for number, count in zip(numbers.tolist(), times.tolist(), strict=True):
            counts[str(text(number))] += count
        return counts

    def slots(self, categories: Sequence[str]) -> Int64[np.ndarray, " rows"]:
        """Return which of the categories each row has, their number where none of them."""
        known = {name: slot for slot, name in enumerate(categories)}
        every = np.full(self._count, len(known), np.int64)
        numbers, inverse = np.unique(self.known, return_inverse=True)
        for rows, names, which in (
            (self._number_rows, [text(number) for number in numbers.tolist()], inverse),
            (self._word_rows, self.words, self._which),
        ):
            found = np.array([known.get(str(name), len(known)) for name in names], np.int64)
            every[rows] = found[which]
        return every

    def tolist(self) -> list[Value]:
        """Return the values of all rows."""
        every: list[Value] = [None] * self._count
        for row, number in zip(self._number_rows.tolist(), self._numbers.tolist(), strict=True):
            every[row] = number
        words = self.words
        for row, place in zip(self._word_rows.tolist(), self._which.tolist(), strict=True):
            every[row] = words[place]
        return every

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Value]:
        return iter(self.tolist())

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> list[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | list[Value]:
        return self.tolist()[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values | list) and self.tolist() == list(other)

    def __repr__(self) -> str:
        return f"Values({self.tolist()!r})"


def _joined(parts: Sequence[np.ndarray]) -> Int64[np.ndarray, " k"]:
    every: np.ndarray = np.concatenate([np.zeros(0, np.int64), *parts], dtype=np.int64)
    return every
