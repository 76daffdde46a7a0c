"""Columns of attributes in little memory, against lists of Python values."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.kinds.attribute_values import Value, Values, text

columns = st.lists(
    st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-9, 9).map(float)
    | st.sampled_from(["", "a", "1", "0.5", "\0", "\u00e4"]),
    max_size=9,
)


@given(columns)
def test_values_come_back(values: list[Value]) -> None:
    """Law: exactly, one by one, as a list, and in counts; -0 is a number as well."""
    column = Values.of(values)
    assert column == values
    assert len(column) == len(values)
    assert [column[row] for row in range(len(values))] == values
    assert list(column) == values
    assert column != [*values, None]
    assert Values.of(column) is column


@given(columns, st.lists(st.sampled_from(["a", "1", "0.5", "-3"]), unique=True))
def test_numbers_counts_and_slots(values: list[Value], categories: list[str]) -> None:
    """Reference: naive twins."""
    column = Values.of(values)
    numbers = [value if isinstance(value, float) else np.nan for value in values]
    np.testing.assert_array_equal(column.numbers(), np.array(numbers, np.float64))
    known = [value for value in values if isinstance(value, float)]
    np.testing.assert_array_equal(column.known, np.array(known, np.float64))
    assert column.counts() == Counter(text(value) for value in values if value is not None)
    slots = {name: slot for slot, name in enumerate(categories)}
    expected = [slots.get(str(text(value)), len(slots)) for value in values if value is not None]
    found = column.slots(categories)
    assert [slot for slot, value in zip(found, values, strict=True) if value is not None] == (
        expected
    )
    assert all(
        slot == len(slots) for slot, value in zip(found, values, strict=True) if value is None
    )


@given(st.lists(columns, max_size=4))
def test_together_is_one_after_another(several: list[list[Value]]) -> None:
    """Law: joined columns are the column of the joined lists."""
    joined = Values.together([Values.of(values) for values in several])
    assert joined == [value for values in several for value in values]
    assert joined.counts() == Values.of(list(joined)).counts()


def test_many_rows() -> None:
    """Reference: more rows and words than the smallest whole numbers tell apart."""
    values: list[Value] = [f"w{row % 700}" if row % 3 else float(row) for row in range(70_000)]
    column = Values.of(values)
    assert column == values
    assert Values.together([column, column]) == values + values
    assert column.nbytes < 70_000 * 8
