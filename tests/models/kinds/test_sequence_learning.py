"""The network that is surprised by tokens, and its task."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.kinds.sequence_learning import Mend, SurpriseNetwork
from models.tokens import UNKNOWN

KNOWN, SAMPLES = (2, 9, 5, 4, 3), 9


@pytest.fixture
def network() -> SurpriseNetwork:
    torch.manual_seed(0)
    return SurpriseNetwork(KNOWN, SAMPLES, width=8, projected=6).eval()


def _batch(*rows: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    tokens = torch.tensor([[*row, *(0,) * (longest - len(row))] for row in rows])
    return tokens, (tokens > 0).float()


def test_no_token_sees_itself(network: SurpriseNetwork) -> None:
    """Law: h at a place changes with every other token in reach, and never with its own."""
    tokens, weights = _batch((2, 3, 4, 1, 2, 3, 4))
    with torch.no_grad():
        before = network.around(tokens, weights)
        for place in range(7):
            changed = tokens.clone()
            changed[0, place] = 5 if tokens[0, place] != 5 else 2
            differs = (network.around(changed, weights) - before).abs().amax(dim=2)[0] > 0
            assert differs.tolist() == [at != place for at in range(7)]


def test_probabilities_are_those_of_a_softmax(network: SurpriseNetwork) -> None:
    """Reference: -log p and the entropy by hand; over all ids p sums to 1; pieces as whole."""
    torch.manual_seed(1)
    h = torch.randn(1, 600, 8)
    scores = h @ network.embedding.weight[UNKNOWN:].T + network.frequency
    p = torch.softmax(scores, dim=2).detach()
    for token in range(UNKNOWN, 6):
        surprise, entropy = network.predicted(h, torch.full((1, 600), token))
        torch.testing.assert_close(surprise.detach(), -p[:, :, token - UNKNOWN].log())
        torch.testing.assert_close(entropy.detach(), torch.special.entr(p).sum(dim=2))


def test_untrained_frequency_and_rarity(network: SurpriseNetwork) -> None:
    """Reference: the formulas of the module."""
    rarity = np.log(10 / (1 + np.array([0, *KNOWN])))
    np.testing.assert_allclose(network.rarity, rarity, rtol=1e-6)
    frequency = np.log((np.array(KNOWN) + 0.5) / 25.5)
    np.testing.assert_allclose(network.frequency.detach(), frequency, rtol=1e-6)


def test_blocks_see_what_the_table_says(network: SurpriseNetwork) -> None:
    """Contract: channels and values of the maps before they are gated; 0 for padding."""
    seen: dict[str, Tensor] = {}
    for name in ("words", "surprise", "context"):
        block = network.get_submodule(name)
        block.register_forward_pre_hook(
            lambda _, inputs, name=name: seen.__setitem__(name, inputs[0].detach())
        )
    tokens, weights = _batch((2, 1, 3), (4,))
    network.forward_features(tokens, weights)
    assert {name: tuple(x.shape) for name, x in seen.items()} == {
        "words": (2, 7, 3),
        "surprise": (2, 4, 3),
        "context": (2, 8, 3),
    }
    unknown, rarity, surprise, excess = seen["surprise"][0]
    assert unknown.tolist() == [0, 1, 0]
    torch.testing.assert_close(rarity, network.rarity[tokens[0]])
    torch.testing.assert_close(seen["words"][0, :6].T, network.projection[tokens[0]])
    torch.testing.assert_close(seen["words"][0, 6], surprise)
    assert (excess < surprise).all()
    assert not any(x[1, :, 1:].any() for x in seen.values())


def test_padding_changes_nothing(network: SurpriseNetwork) -> None:
    """Law: beside a longer sequence each token's map is what it is alone."""
    rows = ((2, 3, 1), (4, 2, 3, 5, 5, 2, 3, 4, 2))
    together = network.forward_features(*_batch(*rows))
    for number, row in enumerate(rows):
        alone = network.forward_features(*_batch(row))
        torch.testing.assert_close(together[number : number + 1, :, : len(row)], alone)
    assert network(*_batch(*rows)).shape == (2, 9)


def test_task_is_drawn_from_its_generator(network: SurpriseNetwork) -> None:
    """Law: the same generator, the same loss; another, another; works without gradients."""
    task = Mend(network, share=0.5, longest=4)
    batch = _batch((2, 3, 4, 5, 2, 3, 4, 5), (2, 3))

    def loss(seed: int) -> float:
        with torch.no_grad():
            return float(task.loss(batch, torch.Generator().manual_seed(seed)))

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


def test_every_parameter_is_trained(network: SurpriseNetwork) -> None:
    """Contract: every parameter has a gradient."""
    loss = Mend(network).loss(_batch((2, 3, 4, 5), (2, 3)), torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert all(bool(each.isfinite().all()) for each in gradients)  # and none is unused


def test_cut_is_a_stretch(network: SurpriseNetwork) -> None:
    """Law: as long as asked, from all places, of every sample its own tokens."""
    task = Mend(network, longest=3)
    tokens, weights = _batch((1, 2, 3, 4, 5), (2, 4))
    seen = set()
    for seed in range(40):
        cut, counts = task._cut(tokens, weights, torch.Generator().manual_seed(seed))
        seen.add(tuple(cut[0].tolist()))
        assert cut[1].tolist() == [2, 4, 0]
        assert counts[1].tolist() == [1, 1, 0]
    assert seen == {(1, 2, 3), (2, 3, 4), (3, 4, 5)}


@pytest.mark.parametrize(("known", "samples"), [((), 3), ((4,), 3), ((-1,), 3)])
def test_impossible_counts_are_refused(known: tuple[int, ...], samples: int) -> None:
    """Contract: ValueError."""
    with pytest.raises(ValueError, match="every id is in"):
        SurpriseNetwork(known, samples)


def test_other_batches_are_refused(network: SurpriseNetwork) -> None:
    """Contract: as ``check_batch``."""
    with pytest.raises(ValueError, match="ids in"):
        network.forward_features(torch.tensor([[9]]), torch.ones(1, 1))
