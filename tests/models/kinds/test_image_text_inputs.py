"""An image with its words as one vector: the frozen trunk's maps, ids, and a thumbnail."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.kinds.image_text_inputs import CHANNELS, ENDS, ImageTextInputs, cells, trunk_digest
from models.preprocess import LITE0
from models.se_lite0 import se_lite0
from models.tokens import UNKNOWN, Tokens, Vocabulary


@dataclass(frozen=True)
class Worded:
    pixels: np.ndarray
    words: tuple[str, ...]


def inputs(side_px: int = 64, longest: int = 8) -> ImageTextInputs:
    return ImageTextInputs(side_px, Tokens(Vocabulary(("red", "hat")), longest))


def some(seed: int, *words: str) -> Worded:
    pixels = np.random.default_rng(seed).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    return Worded(pixels, words)


def test_reference_the_maps_are_the_trunks() -> None:
    preparation, sample = inputs(), some(0, "red", "hat")
    (maps, ids, weights), _ = preparation.inputs([preparation.prepare(sample)], torch.device("cpu"))
    with torch.inference_mode():
        pixels = torch.from_numpy(LITE0.resize(sample.pixels, 64))[None]
        outputs = se_lite0().features(LITE0.normalise(pixels))
        expected = torch.cat([functional.adaptive_avg_pool2d(outputs[e], 2) for e in ENDS], dim=1)
    assert maps.shape == (1, CHANNELS, 2, 2) == expected.shape
    torch.testing.assert_close(maps, expected)
    assert ids.tolist() == [[2, 3]]
    assert weights.tolist() == [[1.0, 1.0]]


def test_stages_end_at_four_strides() -> None:
    with torch.inference_mode():
        outputs = se_lite0().features(torch.zeros(1, 3, 64, 64))
    assert [64 // outputs[end].shape[2] for end in ENDS] == [4, 8, 16, 32]
    for end in ENDS[:-1]:
        assert outputs[end + 1].shape[2] < outputs[end].shape[2]
    assert sum(outputs[end].shape[1] for end in ENDS) == CHANNELS


def test_texts_of_a_batch_are_padded() -> None:
    preparation = inputs()
    vectors = [preparation.prepare(some(0, "hat")), preparation.prepare(some(1, "a", "red", "hat"))]
    (_, ids, weights), pixels = preparation.inputs(vectors, torch.device("cpu"))
    assert ids.tolist() == [[3, 0, 0], [UNKNOWN, 2, 3]]
    assert weights.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert pixels is None


def test_thumbnails_tell_images_and_texts_apart() -> None:
    preparation = inputs()
    samples = [some(0, "red"), some(0, "hat"), some(1, "red")]
    vectors = [preparation.prepare(each) for each in samples]
    pictures = preparation.thumbnails(vectors)
    assert pictures.shape == (3, 3, 64, 64)
    assert pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 3
    np.testing.assert_array_equal(preparation.thumbnails(vectors[1:2])[0], pictures[1])


def test_the_blank_can_be_shown() -> None:
    preparation = inputs()
    (maps, ids, _), _ = preparation.inputs([preparation.blank()], torch.device("cpu"))
    assert maps.shape == (1, CHANNELS, 2, 2)
    assert ids.tolist() == [[UNKNOWN]]


@pytest.mark.parametrize("words", [(), ("hat",) * 9])
def test_too_few_and_too_many_words_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"must have 1\.\.8 words"):
        inputs().prepare(some(0, *words))


@pytest.mark.parametrize("shape", [(3,), (2, 2), (12288 + CHANNELS * 4,), (12297 + CHANNELS * 4,)])
def test_what_is_no_vector_of_it_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="sample 0 must have shape"):
        inputs().inputs([np.zeros(shape, np.float32)], torch.device("cpu"))


@pytest.mark.parametrize("side_px", [63, 513])
def test_sides_out_of_range_are_refused(side_px: int) -> None:
    with pytest.raises(ValueError, match="side_px"):
        inputs(side_px)


def test_all_settings_stand_in_its_words() -> None:
    assert trunk_digest() in str(inputs())
    different = {str(each) for each in (inputs(), inputs(96), inputs(longest=9))}
    assert len(different) == 3


def test_sides_that_the_stride_does_not_divide_round_up() -> None:
    assert [cells(side) for side in (64, 65, 96, 128)] == [2, 3, 3, 4]
