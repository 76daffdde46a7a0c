"""Descriptors: which columns of an embedding become rows."""

import numpy as np
import pytest
from embedding_helpers import select, synthetic

from detector.descriptors import DESCRIPTORS

WIDTHS = {"first": 3, "second": 5}


def test_each_descriptor_takes_what_its_table_says() -> None:
    """Reference: the docstring's table, written out."""
    embedding = synthetic(0, 4, WIDTHS)

    for block, c in WIDTHS.items():
        mean, std, maximum = (getattr(embedding, p)[block] for p in ("mean", "std", "maximum"))
        stats = DESCRIPTORS["squeeze_stats"](embedding)[block]
        assert DESCRIPTORS["gate"](embedding)[block] is embedding.gate[block]
        assert DESCRIPTORS["squeeze"](embedding)[block] is mean
        assert stats.shape == (4, 3 * c)
        np.testing.assert_array_equal(stats[:, :c], mean)
        np.testing.assert_array_equal(stats[:, c : 2 * c], std)
        np.testing.assert_array_equal(stats[:, 2 * c :], maximum)


@pytest.mark.parametrize("name", list(DESCRIPTORS))
def test_every_descriptor_keeps_blocks_images_and_type(name: str) -> None:
    """Contract: blocks in order, one float32 row per image."""
    rows = DESCRIPTORS[name](synthetic(1, 6, WIDTHS))

    assert list(rows) == list(WIDTHS)
    assert {len(part) for part in rows.values()} == {6}
    assert {part.dtype for part in rows.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", list(DESCRIPTORS))
def test_every_descriptor_works_row_by_row(name: str) -> None:
    """Law: the rows of chosen images are the chosen rows."""
    embedding, chosen = synthetic(2, 6, WIDTHS), [4, 0, 4]

    rows = DESCRIPTORS[name](select(embedding, chosen))

    for block, part in DESCRIPTORS[name](embedding).items():
        np.testing.assert_array_equal(rows[block], part[chosen])
