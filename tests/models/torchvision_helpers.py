"""torchvision's networks with weights drawn at random that still see their images."""

import torch
import torchvision
from torch import nn


def drawn(name: str, seed: int = 0, **options: object) -> nn.Module:
    """Return a network of torchvision's, as it infers; all its tensors differ from their defaults.

    Statistics of batch normalisation are those of random images, then jittered: statistics drawn
    from nowhere would let the signal fade, and the last logits would hang on the biases alone.
    """
    torch.manual_seed(seed)
    network: nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.5)
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.8, 1.6)
        nn.init.normal_(norm.bias, std=0.2)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 65, 65))
        for norm in norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean += 0.2 * norm.running_var.sqrt() * torch.randn(norm.num_features)
            norm.running_var *= torch.empty(norm.num_features).uniform_(0.7, 1.4)
    return network.eval()
