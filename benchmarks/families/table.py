"""What every family costs: class, taps, parameters, MACs, milliseconds on this machine's CPU.

    python -m benchmarks.families.table [--threads 1] [--repeats 15]

Prints the table of docs/se-networks.md. MACs and SE's share of them are counted, one sample; the
milliseconds are the median of repeated passes of one sample through torch, with the taps read.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from tqdm import tqdm

from models.analysis.network_cost import network_cost
from models.families.audio import AudioNetwork
from models.families.compound_scaling import PUBLISHED
from models.families.efficientnet import EfficientNet
from models.families.graph import GraphNetwork, rings
from models.families.image_text import ImageText
from models.families.mobilenet_v2 import MobileNetV2
from models.families.mobilenet_v3 import MobileNetV3
from models.families.resnet import ResNet
from models.families.sequence import SequenceEncoder, padded
from models.families.vgg import Vgg
from models.families.video import VideoNetwork
from models.lite0 import Lite0
from models.se_lite0 import SeLite0
from models.taps import Tapped


@dataclass(frozen=True)
class Member:
    """A network of a family at a usual size, and one sample for it."""

    family: str
    sample: str
    build: Callable[..., nn.Module]
    inputs: Callable[[], tuple[Tensor, ...]]
    plain: Callable[[], nn.Module] | None = None
    """Builds the network without SE; None: as ``build``, with ``se=False``."""


def _picture(side_px: int = 224) -> tuple[Tensor]:
    return (torch.randn(1, 3, side_px, side_px),)


MEMBERS = (
    Member("the service's own", "256 px", SeLite0, partial(_picture, 256), Lite0),
    Member("VGG-11", "224 px", partial(Vgg, 11), _picture),
    Member("SE-ResNet-18", "224 px", partial(ResNet, 18), _picture),
    Member("SE-ResNet-50", "224 px", partial(ResNet, 50), _picture),
    Member("MobileNetV2 with SE", "224 px", MobileNetV2, _picture),
    Member("MobileNetV3 small", "224 px", partial(MobileNetV3, "small"), _picture),
    Member("MobileNetV3 large", "224 px", partial(MobileNetV3, "large"), _picture),
    Member("EfficientNet-B0", "224 px", partial(EfficientNet, PUBLISHED[0]), _picture),
    Member(
        "EfficientNet-B3",
        "300 px",
        partial(EfficientNet, PUBLISHED[3]),
        partial(_picture, 300),
    ),
    Member("video", "16 frames of 64 px", VideoNetwork, lambda: (torch.randn(1, 3, 16, 64, 64),)),
    Member(
        "video, gates by frame",
        "16 frames of 64 px",
        partial(VideoNetwork, penalty=2.0),
        lambda: (torch.randn(1, 3, 16, 64, 64),),
    ),
    Member(
        "audio",
        "1 s, 40 mels by 97 frames",
        AudioNetwork,
        lambda: (torch.randn(1, 1, 40, 97), torch.ones(1, 40, 97)),
    ),
    Member("graph", "one ring", partial(GraphNetwork, 8, 2), partial(rings, 1, 8)),
    Member(
        "sequence",
        "32 tokens or fewer",
        partial(SequenceEncoder, 1000, 2),
        partial(padded, 1, 32, 1000),
    ),
    Member(
        "image and text",
        "64 px, 8 tokens or fewer",
        partial(ImageText, 1000, 2),
        lambda: (*_picture(64), *padded(1, 8, 1000)),
    ),
)


def row(member: Member, repeats: int) -> str:
    """Return the member's line of the table."""
    network = member.build().eval()
    inputs = member.inputs()
    plain = member.plain() if member.plain else partial(member.build, se=False)()
    costs = [network_cost(each, *inputs).total for each in (network, plain)]
    parameters, without_parameters = (cost.parameters + cost.se.parameters for cost in costs)
    macs, without_macs = (cost.macs + cost.se.macs for cost in costs)
    tapped, times_s = Tapped(network), []
    with torch.inference_mode():
        for _ in range(repeats):
            started_s = time.perf_counter()
            tapped(*inputs)
            times_s.append(time.perf_counter() - started_s)
    cells = [
        member.family,
        f"`{type(network).__name__}`",
        member.sample,
        f"{len(tapped.channels)} blocks, {sum(tapped.channels.values())} gates",
        f"{parameters / 1e6:.3g} M",
        f"{parameters / without_parameters - 1:.1%}",
        f"{macs / 1e6:,.4g} M",
        f"{macs / without_macs - 1:.2%}",
        f"{1e3 * statistics.median(times_s):.3g}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    lines = [
        "| family | class | sample | taps | parameters | of SE | MACs | of SE | ms |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row(member, options.repeats) for member in tqdm(MEMBERS, unit="network")),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
