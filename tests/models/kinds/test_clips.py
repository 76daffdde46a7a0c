"""Preparation of clips: standardised, padded behind the end, of any size brought to the side."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.kinds.clips import ClipPreparation, channel_statistics, square

CPU = torch.device("cpu")


def frames(count: int = 6, side: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_inputs_are_standardised() -> None:
    """Reference: the formula in the module's docstring, by NumPy."""
    preparation = ClipPreparation(16, (10.0, 20.0, 30.0), (2.0, 4.0, 8.0))
    clip = frames()
    (x,), weights = preparation.inputs([clip, clip], CPU)
    wanted = (clip.astype(float) - [10, 20, 30]) / [2, 4, 8]
    np.testing.assert_allclose(x[1].numpy(), wanted.transpose(3, 0, 1, 2), rtol=1e-6)
    assert weights is None


def test_shorter_clips_are_padded_by_zeros_that_do_not_count() -> None:
    """Law: a clip's part of a batch is what it is alone; behind its end all is 0."""
    preparation = ClipPreparation(16)
    clips = [frames(6), frames(4, seed=1)]
    (x, where), _ = preparation.inputs(clips, CPU)
    (alone,), _ = preparation.inputs(clips[1:], CPU)
    assert torch.equal(x[1, :, :4], alone[0])
    assert not x[1, :, 4:].any()
    assert where.tolist() == [[1.0] * 6, [1.0] * 4 + [0.0] * 2]


def test_frames_of_another_size_are_resized() -> None:
    """Reference: Pillow's antialiased bilinear resize; a grey level of rounding."""
    clip = np.repeat(frames(4, 40), 2, axis=2)
    prepared = ClipPreparation(16).prepare(clip)
    for frame, small in zip(clip, prepared, strict=True):
        wanted = Image.fromarray(frame).resize((16, 16), Image.Resampling.BILINEAR)
        assert np.abs(small.astype(int) - np.asarray(wanted)).max() <= 1
    assert np.array_equal(square(clip[0], 16), prepared[0])


@pytest.mark.parametrize("shape", [(3, 16, 16, 3), (6, 16, 16), (6, 16, 16, 4), (6, 0, 16, 3)])
def test_what_is_no_clip_is_refused(shape: tuple[int, ...]) -> None:
    """Contract: a ValueError that says what a clip is."""
    with pytest.raises(ValueError, match="a clip"):
        ClipPreparation(16).prepare(np.zeros(shape, np.uint8))


def test_a_clip_is_of_whole_grey_levels() -> None:
    """Contract: floating-point frames are refused."""
    with pytest.raises(ValueError, match="uint8"):
        ClipPreparation(16).prepare(np.zeros((6, 16, 16, 3)))


def test_blank_and_thumbnails() -> None:
    """Contract: a blank clip can be prepared; a thumbnail is the frame in the middle."""
    preparation = ClipPreparation(64)
    assert np.array_equal(preparation.prepare(preparation.blank()), preparation.blank())
    clip = frames(5, 64)
    np.testing.assert_array_equal(
        preparation.thumbnails([clip, clip])[1], clip[2].transpose(2, 0, 1)
    )


def test_colour_statistics_count_every_clip_alike() -> None:
    """Reference: NumPy's, of means of squares by clip; black clips have a deviation of 1."""
    clips = [frames(6), frames(12, seed=1) // 2]
    mean, deviation = channel_statistics(clips)
    values = [clip.reshape(-1, 3).astype(float) for clip in clips]
    wanted = np.mean([v.mean(axis=0) for v in values], axis=0)
    squares = np.mean([(v**2).mean(axis=0) for v in values], axis=0)
    np.testing.assert_allclose(mean, wanted, atol=2e-3)
    np.testing.assert_allclose(deviation, np.sqrt(squares - wanted**2), atol=2e-3)
    assert channel_statistics([np.zeros((4, 8, 8, 3), np.uint8)]) == ((0.0,) * 3, (1.0,) * 3)


def test_colour_statistics_of_long_clips_are_exact() -> None:
    """Reference: NumPy, in float64; 2 million pixels of grey levels near 200 in each channel."""
    clip = np.random.default_rng(0).integers(196, 205, (512, 64, 64, 3), dtype=np.uint8)
    mean, deviation = channel_statistics([clip])
    values = clip.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=6e-4)  # of rounding
    np.testing.assert_allclose(deviation, values.std(axis=0), atol=6e-4)
