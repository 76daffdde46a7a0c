"""The EfficientNet-Lite0 trunk against timm's, and its padding against a naive convolution."""

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from numpy.typing import NDArray
from torch import Tensor, nn

from models.checkpoints import trunk_file
from models.lite0 import STAGES, Lite0, SameConv
from models.preprocess import LITE0


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """The same architecture by timm with the same file; the layers stand in the same order."""
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    content = torch.load(trunk_file(), weights_only=True)
    names = network.state_dict()
    network.load_state_dict(dict(zip(names, content.values(), strict=True)))
    return network.eval()


def block_outputs(network: nn.Module, x: Tensor) -> list[Tensor]:
    """The output of each block of timm's network."""
    outputs: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
        for stage in network.get_submodule("blocks").children()
        for block in stage.children()
    ]
    with torch.inference_mode():
        network(x)
    for hook in hooks:
        hook.remove()
    return outputs


def check_parity(trunk: Lite0, published: nn.Module, x: Tensor) -> None:
    expected = block_outputs(published, x)

    with torch.inference_mode():
        actual = trunk.features(x)

    assert len(actual) == len(expected) == 16
    for index, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        assert ours.shape == theirs.shape
        assert theirs.std() > 0.1, "a comparison of nothing"
        assert float((ours - theirs).abs().max()) <= 1e-4, f"block {index}"
    with torch.inference_mode():
        assert torch.equal(trunk(x), actual[-1])


@pytest.mark.parametrize("side_px", [128, 97])
def test_every_block_equals_timm_on_photographs(
    trunk: Lite0, published: nn.Module, photographs: list[NDArray[np.uint8]], side_px: int
) -> None:
    """Reference: timm's tf_efficientnet_lite0 with the same file; max difference 1e-4."""
    pixels = np.stack([LITE0.resize(photograph, side_px) for photograph in photographs])

    check_parity(trunk, published, LITE0.normalise(torch.from_numpy(pixels)))


def test_every_block_equals_timm_on_oblong_images(
    trunk: Lite0, published: nn.Module, photographs: list[NDArray[np.uint8]]
) -> None:
    """Reference: the same on 90 x 131 px, where the two axes pad differently."""
    cut = np.stack([photograph[100:190, 200:331] for photograph in photographs])

    check_parity(trunk, published, LITE0.normalise(torch.from_numpy(cut).permute(0, 3, 1, 2)))


def test_classifier_of_the_same_file_names_cat_and_rocket(
    published: nn.Module, photographs: list[NDArray[np.uint8]]
) -> None:
    """Reference: the classifier of the same file, on our preprocessing, names what is in view."""
    cat, rocket = photographs[2], photographs[3]
    pixels = np.stack([LITE0.resize(image, 224) for image in (cat, rocket)])

    with torch.inference_mode():
        top = published(LITE0.normalise(torch.from_numpy(pixels))).topk(5).indices.tolist()

    assert set(top[0]) & {281, 282, 283, 284, 285}, "ImageNet's domestic cats"
    assert set(top[1]) & {657, 744, 812}, "ImageNet's missiles and space shuttle"


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 97), (33, 160)])
def test_features_halve_as_same_padding_says(trunk: Lite0, height: int, width: int) -> None:
    """Law: each stride makes ceil(side / 2) of a side; channels are those of the stages."""
    sides = [-(-height // 2), -(-width // 2)]
    expected = []
    for stage in STAGES:
        sides = [-(-side // stage.stride) for side in sides]
        expected += [(1, stage.channels, *sides)] * stage.blocks

    with torch.inference_mode():
        features = trunk.features(torch.zeros(1, 3, height, width))

    assert [tuple(feature.shape) for feature in features] == expected


def naive_same(x: NDArray[np.float64], weight: NDArray[np.float64], stride: int) -> list[float]:
    """One channel convolved as TensorFlow documents SAME, one output pixel at a time."""
    kernel = weight.shape[0]
    counts = [-(-side // stride) for side in x.shape]
    before = [
        max((count - 1) * stride + kernel - side, 0) // 2
        for count, side in zip(counts, x.shape, strict=True)
    ]
    out = []
    for p in range(counts[0]):
        for q in range(counts[1]):
            total = 0.0
            for i in range(kernel):
                for j in range(kernel):
                    row, column = p * stride + i - before[0], q * stride + j - before[1]
                    if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
                        total += float(x[row, column] * weight[i, j])
            out.append(total)
    return out


@given(
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_padding_equals_naive_computation(
    height: int, width: int, kernel: int, stride: int, seed: int
) -> None:
    """Reference: TensorFlow's SAME, pixel by pixel, depthwise in float64; atol 1e-12."""
    rng = np.random.default_rng(seed)
    convolution = SameConv(2, 2, kernel, stride, groups=2).double().requires_grad_(False)
    x = rng.standard_normal((1, 2, height, width))
    weights = convolution.weight.numpy()[:, 0]

    actual = convolution(torch.from_numpy(x)).numpy()

    assert actual.shape == (1, 2, -(-height // stride), -(-width // stride))
    for channel in range(2):
        expected = naive_same(x[0, channel], weights[channel], stride)
        np.testing.assert_allclose(actual[0, channel].ravel(), expected, atol=1e-12)


def test_images_of_other_shapes_are_refused(trunk: Lite0) -> None:
    """Contract: under the shape checker an image has three channels and a batch axis."""
    for shape in ((3, 64, 64), (1, 1, 64, 64), (1, 4, 64, 64)):
        with pytest.raises(TypeCheckError):
            trunk(torch.zeros(shape))
