"""Vocabularies, padded batches, and pictures of sequences."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.preprocess import Preparation
from models.tokens import UNKNOWN, Tokens, Vocabulary

WORDS = tuple(f"word{index}" for index in range(300))
PREPARATION = Tokens(Vocabulary(WORDS))
CPU = torch.device("cpu")
sequences = st.lists(st.integers(1, PREPARATION.vocabulary.size - 1), min_size=1, max_size=40).map(
    lambda ids: np.array(ids, np.int64)
)


def test_most_frequent_tokens_come_first() -> None:
    """Law: by count, then by alphabet; as many as the limit allows; the rest is unknown."""
    lines = [["b", "a", "c"], ["c", "b"], ["c", "d"]]

    assert Vocabulary.fit(lines).tokens == ("c", "b", "a", "d")
    bounded = Vocabulary.fit(iter(lines), limit=2)
    assert bounded.tokens == ("c", "b")
    assert bounded.size == 4
    assert bounded.encode(["b", "a", "c", "?"]).tolist() == [3, UNKNOWN, 2, UNKNOWN]
    assert bounded.encode([]).dtype == np.int64


@given(st.lists(st.text(max_size=5), unique=True, max_size=20))
def test_vocabulary_survives_json(tokens: list[str]) -> None:
    """Law: written and read again it is the same; whatever characters it has."""
    vocabulary = Vocabulary(tuple(tokens))

    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


@pytest.mark.parametrize("text", ['{"a": 2}', "[1, 2]", '"ab"', "nonsense"])
def test_other_json_is_refused(text: str) -> None:
    """Contract: ValueError."""
    with pytest.raises(ValueError, match=r"JSON array|Expecting value"):
        Vocabulary.from_json(text)


def test_impossible_vocabularies_are_refused() -> None:
    """Contract: a token twice; a limit of none; more ids than colours."""
    with pytest.raises(ValueError, match="'b' more often"):
        Vocabulary(("a", "b", "b"))
    with pytest.raises(ValueError, match="limit must be 1 or more, got 0"):
        Vocabulary.fit([["a"]], limit=0)
    with pytest.raises(ValueError, match=r"1\.\.4096, got 4097"):
        Tokens(Vocabulary(WORDS), longest=4097)


def test_it_is_a_preparation() -> None:
    """Contract: the protocol; its blank can be shown; its text tells vocabularies apart."""
    assert isinstance(PREPARATION, Preparation)
    (tokens, weights), pixels = PREPARATION.inputs([PREPARATION.blank()], CPU)
    assert tokens.tolist() == [[UNKNOWN]]
    assert weights.tolist() == [[1.0]]
    assert pixels is None
    assert str(PREPARATION) != str(Tokens(Vocabulary(WORDS[::-1])))


@given(st.lists(sequences, min_size=1, max_size=5))
def test_batch_holds_every_sample_and_padding(samples: list[np.ndarray]) -> None:
    """Law: where weights are 1 stands the sample, behind it 0; as long as the longest."""
    (tokens, weights), _ = PREPARATION.inputs(samples, CPU)

    assert tokens.shape == weights.shape == (len(samples), max(map(len, samples)))
    for row, counts, sample in zip(tokens, weights, samples, strict=True):
        assert row[counts > 0].tolist() == sample.tolist()
        assert not row[len(sample) :].any()
        assert counts.tolist() == [1.0] * len(sample) + [0.0] * (len(row) - len(sample))


@given(st.lists(sequences, min_size=1, max_size=4))
def test_picture_can_be_read_back(samples: list[np.ndarray]) -> None:
    """Law: no two sequences share a picture, as each is read back from its own."""
    inverse = pow(0x9E3779, -1, 1 << 24)

    pictures = PREPARATION.thumbnails(samples)

    for picture, sample in zip(pictures, samples, strict=True):
        red, green, blue = picture.reshape(3, -1).astype(np.int64)
        ids = ((red << 16) + (green << 8) + blue) * inverse % (1 << 24)
        assert ids[: len(sample)].tolist() == sample.tolist()
        assert not ids[len(sample) :].any()


def test_pictures_tell_long_sequences_apart() -> None:
    """Law: 4096 tokens that differ in the last alone; a picture depends on its sample alone."""
    longest = np.random.default_rng(0).integers(1, 300, 4096)
    other = longest.copy()
    other[-1] = longest[-1] % 299 + 1

    pictures = PREPARATION.thumbnails([longest, other, longest[:-1]])

    assert pictures.shape == (3, 3, 64, 64)
    assert pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert np.array_equal(PREPARATION.thumbnails([other])[0], pictures[1])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.array([], np.int64), r"sample 1 must have 1\.\.5 tokens, got 0"),
        (np.ones(6, np.int64), r"sample 1 must have 1\.\.5 tokens, got 6"),
        (np.array([3, -1]), r"sample 1 must hold ids in 1\.\.301, got -1"),
        (np.array([0, 3]), r"ids in 1\.\.301, got 0"),
        (np.array([302]), r"ids in 1\.\.301, got 302"),
        (np.ones((2, 2), np.int64), r"shape \(t,\).*got \(2, 2\) of int64"),
        (np.array([1.0]), r"whole numbers, got \(1,\) of float64"),
    ],
)
def test_other_samples_are_refused(sample: np.ndarray, message: str) -> None:
    """Contract: the sample and what is wrong with it, by both methods."""
    preparation = Tokens(Vocabulary(WORDS), longest=5)
    samples = [preparation.blank(), sample]

    with pytest.raises(ValueError, match=message):
        preparation.inputs(samples, CPU)
    with pytest.raises(ValueError, match=message):
        preparation.thumbnails(samples)
