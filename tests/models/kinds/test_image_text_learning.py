"""The network that matches words with images, and the task it learns it by."""

import pytest
import torch
from torch.nn import functional

from models.kinds.image_text_learning import LOCAL, Matching, WordContrast
from models.taps import Tapped
from models.tokens import UNKNOWN

VOCABULARY = 7


def network(seed: int = 0, channels: int = 5) -> Matching:
    torch.manual_seed(seed)
    return Matching(channels, VOCABULARY, image=8, text=6, heads=3, width=4).eval()


def batch(count: int = 4, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    weights = (torch.arange(3) <= torch.arange(count)[:, None] % 3).float()
    ids = torch.randint(1, VOCABULARY, (count, 3), generator=rng) * weights.long()
    return torch.randn(count, 5, 2, 2, generator=rng), ids, weights


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_law_alone_is_as_in_a_batch() -> None:
    tapped = Tapped(network())
    maps, ids, weights = batch()
    together = tapped(maps, ids, weights).blocks
    assert list(together) == ["gates.image", "gates.text", "agreement"]
    for at in range(len(maps)):
        own = int(weights[at].sum())
        alone = tapped(maps[at : at + 1], ids[at : at + 1, :own], weights[at : at + 1, :own]).blocks
        for name, tap in alone.items():
            for statistic in ("gate", "mean", "std", "maximum"):
                torch.testing.assert_close(
                    getattr(tap, statistic)[0],
                    getattr(together[name], statistic)[at],
                    rtol=1e-4,
                    atol=1e-5,
                )


def test_reference_the_surprise_word_by_word() -> None:
    net = network()
    maps, ids, weights = batch(count=3)
    seen: list[torch.Tensor] = []
    net.agreement.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        net.forward_features(maps, ids, weights)
        image, text = net.gates(net.image_stream(maps), net.text_stream(ids, weights), weights)
        u, v = net.image_heads(image), net.text_heads(text)
    for head, word in ((0, 0), (2, 1)):
        channels = slice(4 * head, 4 * head + 4)
        s = (u[2, channels] * v[2, channels, word, None, None]).sum(0) / 4**0.5
        s = s * net.scale[head].exp() + net.bias[head]
        told = -torch.log(torch.sigmoid(s.mean() + LOCAL * (s - s.mean())))
        torch.testing.assert_close(seen[0][2, head, word], told)


def test_reference_the_loss_word_by_word() -> None:
    """Two samples: each is shown with its own text and with the other's."""
    net = network()
    maps = batch(count=2)[0]
    ids, weights = torch.tensor([[2, 3], [3, 4]]), torch.ones(2, 2)
    task = WordContrast(net, unknown=0.0).eval()

    def costs(sign: int, text: torch.Tensor) -> torch.Tensor:
        s = net.agree(net.image_stream(maps), net.text_stream(text, weights), weights)
        return functional.softplus(sign * s.mean(dim=(3, 4))).mean(dim=1)

    with torch.no_grad():
        foreign = costs(1, ids.flip(0))
        expected = (costs(-1, ids).mean() + (foreign[0, 1] + foreign[1, 0]) / 2) / 2
        torch.testing.assert_close(task.loss((maps, ids, weights), rng()), expected)


def test_all_is_drawn_from_the_generator() -> None:
    task = WordContrast(network()).train()
    inputs = batch()
    state = torch.random.get_rng_state()
    losses = [float(task.loss(inputs, rng(seed)).detach()) for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0] != pytest.approx(losses[2], abs=1e-4)


def test_texts_alike_leave_nothing_foreign() -> None:
    task = WordContrast(network(), unknown=0.0).eval()
    maps = batch()[0]
    with torch.no_grad():
        loss = task.loss((maps, torch.full((4, 1), 2), torch.ones(4, 1)), rng())
    assert torch.isfinite(loss)


def test_one_sample_alone_has_a_loss() -> None:
    with torch.no_grad():
        assert torch.isfinite(WordContrast(network()).eval().loss(batch(count=1), rng()))


def test_it_learns_which_words_go_with_which_image() -> None:
    """The map's first channels say the id; after training a wrong word is the more surprising."""
    draws = rng(3)
    torch.manual_seed(0)
    net = Matching(6, VOCABULARY, image=16, text=8, heads=2, width=8)
    task = WordContrast(net)
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-2)
    truth = torch.eye(6)[:, :, None, None]

    def shown(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        ids = torch.randint(2, 6, (count, 1), generator=draws)
        noise = 0.3 * torch.randn(count, 6, 2, 2, generator=draws)
        return truth[ids[:, 0]] + noise, ids, torch.ones(count, 1)

    for _ in range(40):
        optimiser.zero_grad()
        task.loss(shown(16), draws).backward()  # type: ignore[no-untyped-call]  # torch's own lack
        optimiser.step()
    task.eval()
    maps, ids, weights = shown(60)
    tapped = Tapped(net)
    with torch.no_grad():
        own = tapped(maps, ids, weights).blocks["agreement"].mean.mean(1)
        wrong = tapped(maps, 2 + (ids - 1) % 4, weights).blocks["agreement"].mean.mean(1)
        unknown = tapped(maps, torch.full_like(ids, UNKNOWN), weights).blocks["agreement"]
    assert (wrong > own).float().mean() > 0.95
    assert (unknown.mean.mean(1) > own).float().mean() > 0.95


def test_ids_out_of_range_are_refused() -> None:
    maps, ids, weights = batch()
    with pytest.raises(ValueError, match=r"ids in 0\.\.6"):
        network()(maps, ids + VOCABULARY, weights)


def test_forward_is_the_mean_over_words_and_places() -> None:
    net, (maps, ids, weights) = network(), batch()
    with torch.no_grad():
        gated = net.forward_features(maps, ids, weights)
        told = net(maps, ids, weights)
    expected = [gated[at][:, weights[at] > 0].mean() for at in range(len(maps))]
    torch.testing.assert_close(told, torch.stack(expected))
