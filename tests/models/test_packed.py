"""A packed network: the same network, elsewhere."""

import io
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
import torch

from models.families import FAMILIES
from models.families.family import Family
from models.packed import PackedNetwork
from models.se_lite0 import se_lite0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_unpacked_it_computes_the_same(family: Family) -> None:
    """Law: to the bit, with buffers that no state dict holds; the original stays as it was."""
    torch.manual_seed(0)
    network = family.build().eval()
    inputs = family.example(2)
    wanted = network(*inputs)

    other = PackedNetwork(network).unpack()

    assert torch.equal(other(*inputs), wanted)
    assert torch.equal(network(*inputs), wanted)
    ours, theirs = ({p.data_ptr() for p in n.parameters()} for n in (network, other))
    assert not ours & theirs


def test_sent_to_a_process_it_opens_no_file() -> None:
    """Law: as the processes' own way of handing over writes it, and no tensor becomes shared."""
    network = se_lite0()
    packed = PackedNetwork(network)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0

    ForkingPickler(io.BytesIO()).dump(packed)

    assert (len(list(descriptors.iterdir())) if before else 0) == before
    assert not any(parameter.is_shared() for parameter in network.parameters())
