"""Contract: what every family of SE networks does, whatever it sees."""

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.families import FAMILIES
from models.families.family import Family
from models.gate_finder import NoGatesError
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

BATCH = 3


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    """Each family in turn, its weights and inputs drawn from one seed."""
    torch.manual_seed(0)
    found: Family = request.param
    return found


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Leave out the tests' shape checker, which an exporter would trace."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def trained_a_little(family: Family) -> nn.Module:
    """Return a network in evaluation mode whose running statistics are not the initial ones."""
    network = family.build().train()
    with torch.no_grad():
        network(*family.example(4))
    return network.eval()


def alone(family: Family, inputs: tuple[Tensor, ...], index: int) -> tuple[Tensor, ...]:
    """Return one sample of a batch, as a batch of one."""
    if family.kind != "graph":
        return tuple(
            x if axis is None else x.narrow(axis, index, 1)
            for x, axis in zip(inputs, family.batch_axes, strict=True)
        )
    features, edges, sizes = inputs
    first = int(sizes[:index].sum())
    last = first + int(sizes[index])
    inside = (edges[0] >= first) & (edges[0] < last)
    return features[first:last], edges[:, inside] - first, sizes[index : index + 1]


def test_forward_gives_logits_for_every_sample(family: Family) -> None:
    network = trained_a_little(family)

    logits = network(*family.example(BATCH))

    assert logits.shape == (BATCH, 2)
    assert bool(logits.isfinite().all())
    assert not torch.allclose(logits[0], logits[1])


def test_backward_reaches_every_parameter(family: Family) -> None:
    network = family.build().train()

    network(*family.example(4)).square().sum().backward()

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        if "bias" not in name:  # one before a normalisation has no effect
            assert bool(parameter.grad.any()), name


def test_every_block_is_tapped(family: Family) -> None:
    network = trained_a_little(family)
    blocks = [module for module in network.modules() if isinstance(module, SqueezeExcite)]
    inputs = family.example(BATCH)

    with torch.inference_mode():
        taps = Tapped(network)(*inputs).blocks
        again = Tapped(network)(*inputs).blocks

    assert len(taps) == len(blocks) > 0
    for (name, tap), block in zip(taps.items(), blocks, strict=True):
        assert tap.gate.shape == tap.mean.shape == (BATCH, block.channels), name
        assert bool(((tap.gate >= 0) & (tap.gate <= 1)).all()), name
        for field in ("gate", "mean", "std", "maximum"):
            assert bool(getattr(tap, field).isfinite().all()), (name, field)
            assert torch.equal(getattr(tap, field), getattr(again[name], field))


def test_without_se_there_is_nothing_to_tap(family: Family) -> None:
    plain = family.build_plain().eval()

    with pytest.raises(NoGatesError):
        Tapped(plain)
    assert plain(*family.example(BATCH)).shape == (BATCH, 2)
    parameters = [sum(p.numel() for p in n.parameters()) for n in (family.build(), plain)]
    assert parameters[0] > parameters[1]


def test_saved_and_loaded_is_the_same(family: Family, tmp_path: Path) -> None:
    network, inputs = trained_a_little(family), family.example(BATCH)
    file = tmp_path / "network.safetensors"
    save_file(network.state_dict(), file)

    other = family.build().eval()
    assert not torch.equal(other(*inputs), network(*inputs))
    other.load_state_dict(load_file(file))

    assert torch.equal(other(*inputs), network(*inputs))


def test_a_batch_is_its_samples_alone(family: Family) -> None:
    network, inputs = trained_a_little(family), family.example(BATCH)

    with torch.inference_mode():
        together, tapped = network(*inputs), Tapped(network)
        taps = tapped(*inputs).blocks
        for index in range(BATCH):
            one = alone(family, inputs, index)
            torch.testing.assert_close(network(*one)[0], together[index], rtol=1e-4, atol=1e-5)
            for name, tap in tapped(*one).blocks.items():
                torch.testing.assert_close(
                    tap.gate[0], taps[name].gate[index], rtol=1e-4, atol=1e-5
                )


@pytest.mark.usefixtures("unchecked_shapes")
def test_exported_it_computes_the_same_for_any_batch(family: Family) -> None:
    network = trained_a_little(family)
    grows = tuple(
        None if axis is None else {axis: torch.export.Dim.AUTO} for axis in family.batch_axes
    )

    exported = torch.export.export(network, family.example(4), dynamic_shapes=grows).module()

    for count in (2, 5):
        inputs = family.example(count)
        torch.testing.assert_close(exported(*inputs), network(*inputs), rtol=1e-4, atol=1e-5)


def test_a_missing_axis_is_refused_with_shapes(family: Family) -> None:
    network = trained_a_little(family)
    inputs = family.example(BATCH)

    with pytest.raises(ValueError, match=r"shape.*got \("):
        network(inputs[0][0], *inputs[1:])
