"""The gates of a map's regions: foreground against background."""

import pytest
import torch

from models.focus import region_gates
from models.squeeze_excite import SqueezeExcite


def maps(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)


def halves() -> torch.Tensor:
    """Foreground: the two columns on the left; background: the others."""
    foreground = torch.zeros(2, 4, 5, dtype=torch.float64)
    foreground[:, :, :2] = 1
    return torch.stack([foreground, 1 - foreground], dim=1)


def block_of(channels: int = 3) -> SqueezeExcite:
    torch.manual_seed(0)
    return SqueezeExcite(channels, 1).double()


def test_gates_of_a_region_are_those_of_the_map_cut_out() -> None:
    """Reference: cut the region out and run the block on it alone."""
    block, x = block_of(), maps(13)

    gates = region_gates(block, x, halves())

    assert gates.shape == (2, 2, 3)
    for k, cut in enumerate((x[..., :2], x[..., 2:])):
        torch.testing.assert_close(gates[:, k], block.excite(block.squeeze(cut)))
    assert (gates[:, 0] - gates[:, 1]).abs().max() > 1e-3


def test_what_is_outside_a_region_does_not_change_its_gates() -> None:
    """Law: another background leaves the foreground's gates as they are."""
    block, x, mask = block_of(), maps(14), halves()
    other = x + 10 * mask[:, 1:]

    before, after = region_gates(block, x, mask), region_gates(block, other, mask)

    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert (before[:, 1] - after[:, 1]).abs().max() > 1e-2


def test_one_region_of_everything_has_the_gates_of_the_block() -> None:
    """Law: an all-ones mask equals no mask; the scale of a mask is nothing."""
    block, x = block_of(), maps(15)
    everything = torch.ones(2, 1, 4, 5, dtype=torch.float64)

    plain = block.excite(block.squeeze(x))

    torch.testing.assert_close(region_gates(block, x, everything)[:, 0], plain)
    torch.testing.assert_close(
        region_gates(block, x, 7 * halves()), region_gates(block, x, halves())
    )


def test_a_region_without_a_place_has_the_gates_of_nothing() -> None:
    """Contract: no division by zero."""
    block = block_of()
    gates = region_gates(block, maps(16), torch.zeros(2, 1, 4, 5, dtype=torch.float64))

    nothing = block.excite(torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(gates[:, 0], nothing)


@pytest.mark.parametrize("shape", [(2, 1, 5, 4), (1, 1, 4, 5), (2, 4, 5)])
def test_a_mask_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names both shapes."""
    with pytest.raises(ValueError, match=r"got \(2, 3, 4, 5\) and \("):
        region_gates(block_of(), maps(17), torch.ones(shape, dtype=torch.float64))
