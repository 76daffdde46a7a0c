"""torchvision's weights in our networks: equal outputs, and nothing missing or left over."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision_helpers import drawn

from models.checkpoints import WeightsError
from models.families.efficientnet import EfficientNet
from models.families.mobilenet_v3 import MobileNetV3
from models.families.torchvision_weights import NETWORKS, from_torchvision, names
from models.taps import Tapped

FILE = Path("theirs.pth")


@pytest.fixture(scope="module")
def small() -> dict[str, Tensor]:
    """The state dict of a small MobileNetV3."""
    return drawn("mobilenet_v3_small").state_dict()


@pytest.mark.parametrize(
    "name",
    ["efficientnet_b0", "efficientnet_b1", "mobilenet_v3_large", "mobilenet_v3_small"],
)
def test_loaded_network_computes_what_torchvision_s_does(name: str) -> None:
    """Reference: logits and gates of torchvision's network; 1e-5 of the largest logit."""
    reference, network = drawn(name), NETWORKS[name]().eval()
    x = torch.randn(2, 3, 65, 64)
    from_torchvision(network, reference.state_dict(), FILE)
    with torch.inference_mode():
        expected, actual = reference(x), network(x)
        wanted, taps = Tapped(reference)(x).blocks, Tapped(network)(x).blocks

    scale = float(expected.abs().max())
    assert float(expected.std(dim=0).mean()) > 0.05 * scale  # the outputs depend on the images
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 * scale)
    assert len(taps) == len(wanted)
    for ours, other in zip(taps.values(), wanted.values(), strict=True):
        torch.testing.assert_close(ours.gate, other.gate, rtol=0, atol=1e-5)
    assert min(float(tap.gate.std()) for tap in taps.values()) > 0.01


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_has_its_place(name: str) -> None:
    """Reference: torchvision's names, shapes, epsilons and dropout, without weights."""
    with torch.device("meta"):
        network, reference = NETWORKS[name](), getattr(torchvision.models, name)(weights=None)
    table, state, expected = names(network), network.state_dict(), reference.state_dict()

    assert sorted(table.values()) == sorted(expected)
    assert list(table) == list(state)
    assert all(state[k].shape == expected[v].shape for k, v in table.items())
    for kind, field in ((nn.BatchNorm2d, "eps"), (nn.Dropout, "p")):
        values, wanted = (
            [getattr(m, field) for m in each.modules() if isinstance(m, kind)]
            for each in (network, reference)
        )
        assert values == wanted


def test_any_width_and_number_of_classes_loads() -> None:
    """Reference: torchvision's network of half the width and five classes."""
    reference = drawn("mobilenet_v3_large", width_mult=0.5, num_classes=5)
    network = MobileNetV3("large", width=0.5, classes=5).eval()
    x = torch.randn(2, 3, 64, 64)

    from_torchvision(network, reference.state_dict(), FILE)
    with torch.inference_mode():
        expected, actual = reference(x), network(x)

    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"features.4.block.2.fc1.weight": None}, r"lacks .* stages.3.gate.excite.reduce.weight"),
        ({"features.0.1.running_var": None}, r"lacks the tensor for stem.norm.running_var"),
        ({"classifier.3.bias": None}, r"lacks the tensor for classifier.bias"),
        ({"features.0.2.weight": torch.ones(3)}, r"has not: features\.0\.2\.weight$"),
        ({"stem.conv.weight": torch.ones(16, 3, 3, 3)}, r"has not: stem\.conv\.weight$"),
        (
            {"features.0.0.weight": torch.ones(16, 3, 5, 5)},
            r"stem.conv.weight has shape \(16, 3, 5, 5\), expected \(16, 3, 3, 3\)",
        ),
        (
            {"features.4.block.2.fc2.weight": torch.ones(1)},
            r"stages.3.gate.excite.expand.weight has shape \(1,\), expected \(96, 24, 1, 1\)",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    change: dict[str, Tensor | None], match: str, small: dict[str, Tensor]
) -> None:
    """Contract: file, tensor and shapes; the network stays as it was, to the last tensor."""
    network = MobileNetV3("small")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tensors = {k: v for k, v in {**small, **change}.items() if v is not None}

    with pytest.raises(WeightsError, match=rf"^theirs\.pth.*{match}"):
        from_torchvision(network, tensors, FILE)

    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_another_network_s_weights_are_refused(small: dict[str, Tensor]) -> None:
    """Contract: of another depth, of another family, and for a network without SE."""
    with torch.device("meta"):
        b1 = torchvision.models.efficientnet_b1(weights=None).state_dict()
        b0, plain = EfficientNet(), MobileNetV3("small", se=False)
    with pytest.raises(WeightsError, match=r"does not fit EfficientNet: it holds .* and \d+ more"):
        from_torchvision(b0, b1, FILE)
    with pytest.raises(WeightsError, match="does not fit EfficientNet"):
        from_torchvision(b0, small, FILE)
    with pytest.raises(WeightsError, match=r"does not fit MobileNetV3: .*fc1"):
        from_torchvision(plain, small, FILE)


def test_counters_of_old_files_are_forgiven(small: dict[str, Tensor]) -> None:
    """Contract: files from before torch counted batches load; what is there is loaded."""
    network = MobileNetV3("small")
    from_torchvision(network, small, FILE)
    assert int(network.stem.norm.num_batches_tracked) == 1

    old = {k: v for k, v in small.items() if not k.endswith("num_batches_tracked")}
    from_torchvision(network, old, FILE)
