"""The network of image and text: gates of each stream that hear the other."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import settings as at_most
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from models.excitation import Excitation
from models.families.coupled_gates import CoupledGates, Coupling, GateHead
from models.families.image_text import ImageText
from models.families.sequence import padded
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

COUPLINGS: tuple[Coupling, ...] = ("joint", "bilinear")
Inputs = tuple[Tensor, Tensor, Tensor]


def tiny(coupling: Coupling) -> ImageText:
    return ImageText(32, 3, widths=(8, 12), reduction=2, coupling=coupling).eval()


def seen(samples: int) -> Inputs:
    return torch.randn(samples, 3, 12, 12), *padded(samples, 6, 32)


def gates(network: ImageText, inputs: Inputs) -> dict[str, Tensor]:
    """The gates by the blocks' names."""
    with torch.inference_mode():
        return {name: tap.gate for name, tap in Tapped(network)(*inputs).blocks.items()}


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_taps_find_both_streams_of_every_stage(coupling: Coupling) -> None:
    """Contract: two blocks a stage, the image's and the text's."""
    names = list(gates(tiny(coupling), seen(2)))

    assert names == [f"stages.{stage}.gate.{of}" for stage in (0, 1) for of in ("image", "text")]


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize(
    "change",
    [
        lambda images, tokens, weights: (images, (tokens + 7) % 32, weights),
        lambda images, tokens, weights: (images.flip(0) * 2, tokens, weights),
    ],
    ids=["text", "image"],
)
def test_changing_one_stream_changes_the_gates_of_both(
    coupling: Coupling, change: Callable[..., Inputs]
) -> None:
    """Law: also of the first stage, where the other stream itself has not changed."""
    torch.manual_seed(0)
    network, inputs = tiny(coupling), seen(3)

    before, after = gates(network, inputs), gates(network, change(*inputs))

    for name, gate in before.items():
        assert float((after[name] - gate).abs().amax()) > 1e-5, name


def separate(width: int) -> tuple[CoupledGates, SqueezeExcite, SqueezeExcite]:
    """Coupled gates whose cross weights are zero, and the two blocks that they should equal."""
    both = CoupledGates(6, 8, reduction=2, coupling="joint").double()
    both.requires_grad_(requires_grad=False)
    reduce = both.bottleneck.reduce
    reduce.weight[:width, 6:] = 0  # text to the image's half of the bottleneck
    reduce.weight[width:, :6] = 0
    both.image.excite.expand.weight[:, width:] = 0
    both.text.excite.expand.weight[:, :width] = 0
    image, text = (
        SqueezeExcite(c, excite=Excitation(c, bottleneck=k)).double()
        for c, k in ((6, width), (8, 7 - width))
    )
    image.excite.load_state_dict(
        {
            "reduce.weight": reduce.weight[:width, :6],
            "reduce.bias": reduce.bias[:width],
            "expand.weight": both.image.excite.expand.weight[:, :width],
            "expand.bias": both.image.excite.expand.bias,
        }
    )
    text.excite.load_state_dict(
        {
            "reduce.weight": reduce.weight[width:, 6:],
            "reduce.bias": reduce.bias[width:],
            "expand.weight": both.text.excite.expand.weight[:, width:],
            "expand.bias": both.text.excite.expand.bias,
        }
    )
    return both, image, text


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 6))
@at_most(max_examples=25)
def test_joint_without_cross_weights_is_two_blocks(seed: int, width: int) -> None:
    """Law: the joint form contains two separate blocks; float64, 1e-12."""
    torch.manual_seed(seed)
    both, image, text = separate(width)
    x, words = torch.randn(3, 6, 5, 4).double(), torch.randn(3, 8, 7).double()
    weights = padded(3, 7, 32)[1].double()

    y, said = both(x, words, weights)

    torch.testing.assert_close(y, image(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(said, text(words, weights), rtol=1e-12, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(-3, 3))
@at_most(max_examples=25)
def test_bilinear_logits_scale_with_each_squeeze(seed: int, factor: float) -> None:
    """Law: for a times an image's squeeze, the logits' distance from their biases is a times it."""
    torch.manual_seed(seed)
    both = CoupledGates(6, 8, reduction=2, coupling="bilinear").double()
    image, text = torch.randn(3, 6).double(), torch.randn(3, 8).double()
    bias = both.text.excite.expand.bias

    once, scaled, other = (
        both.text.excite(text, both.bottleneck(i, t)).logit() - bias
        for i, t in ((image, text), (factor * image, text), (image, factor * text))
    )

    torch.testing.assert_close(scaled, factor * once, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(other, factor * once, rtol=1e-8, atol=1e-8)


def test_bilinear_form_is_a_low_rank_bilinear_map() -> None:
    """Reference: logit_c = s_img^T (sum over k of P_ck u_k v_k^T) s_text + p_c, by einsum."""
    torch.manual_seed(0)
    both = CoupledGates(6, 8, reduction=4, coupling="bilinear").double()
    image, text = torch.randn(5, 6).double(), torch.randn(5, 8).double()
    u, v = both.bottleneck.image.weight, both.bottleneck.text.weight
    head = both.image.excite.expand
    tensor = torch.einsum("ck,ki,kj->cij", head.weight, u, v)

    logits = both.image.excite(image, both.bottleneck(image, text)).logit()

    expected = torch.einsum("bi,cij,bj->bc", image, tensor, text) + head.bias
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_padding_of_the_text_changes_nothing(coupling: Coupling) -> None:
    """Law: neither logits nor any gate, whatever ids stand behind the end; 1e-5."""
    torch.manual_seed(0)
    network = tiny(coupling)
    images, tokens, weights = seen(4)
    longer = torch.randint(0, 32, (4, 11))
    longer[:, :6] = torch.where(weights > 0, tokens, longer[:, :6])
    more = torch.cat([weights, torch.zeros(4, 5)], dim=1)

    torch.testing.assert_close(
        network(images, longer, more), network(images, tokens, weights), rtol=1e-5, atol=1e-5
    )
    after = gates(network, (images, longer, more))
    for name, gate in gates(network, (images, tokens, weights)).items():
        torch.testing.assert_close(after[name], gate, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 1, 8, 8), (2, 5), (2, 5)), r"\(b, 3, h, w\), got \(2, 1, 8, 8\)"),
        (((3, 3, 8, 8), (2, 5), (2, 5)), r"\(3, t\), one row an image, got \(2, 5\)"),
        (((2, 3, 8, 8), (2, 5), (2, 4)), r"weights must have shape \(2, 5\), got \(2, 4\)"),
    ],
)
def test_other_shapes_are_refused(shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    """Contract: received and expected shape."""
    images, tokens, weights = shapes
    with pytest.raises(ValueError, match=message):
        tiny("joint")(
            torch.randn(images), torch.ones(tokens, dtype=torch.int64), torch.ones(weights)
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (4, 8), "reduction": 9}, r"1\.\.8 \(the channels of both\), got 9"),
        ({"widths": ()}, r"widths must be one or more.*got \(\)"),
        ({"widths": (8, 0)}, r"each 1 or more, got \(8, 0\)"),
    ],
)
def test_impossible_networks_are_refused(arguments: dict[str, object], message: str) -> None:
    """Contract: the received value, and what was expected."""
    with pytest.raises(ValueError, match=message):
        ImageText(32, 2, **arguments)


def test_another_coupling_is_refused() -> None:
    """Contract: the name is checked; in tests the type checker may speak first."""
    with pytest.raises((ValueError, TypeCheckError), match="trilinear"):
        ImageText(32, 2, coupling="trilinear")


@pytest.mark.parametrize("context", [None, torch.zeros(2, 4)])
def test_head_needs_its_bottleneck(context: Tensor | None) -> None:
    """Contract: without the shared bottleneck, or with another's, there are no gates."""
    with pytest.raises(ValueError, match=r"context of shape \(b, 3\), got"):
        GateHead(8, 3)(torch.zeros(2, 8), context)
