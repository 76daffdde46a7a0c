"""What a network computes in: float32 as IEEE has it, or bfloat16 under autocast.

bfloat16 has 8 bits of precision where float32 has 24. Convolutions and linear maps take and give
it; taps are float32 whatever the network computed in (``models.taps``).

What was fitted in the one is not what the other sees: under detectors fitted in float32, scores of
the shipped backbone in bfloat16 lie up to 0.14 of their spread higher, single ones 0.1 to 0.2 off,
and a threshold meant for 10 % of the images flags up to 13 %. Fitted *and* judged in bfloat16 the
rise is gone (under 0.03). So the precision is part of the backbone's fingerprint; and, since two
runtimes round in different places, what computes in bfloat16 is too (``models.backbone``).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]

BFLOAT16_TOLERANCE = 0.25
"""Most that a bfloat16 row differs from float32's, relative to the statistic's largest value: the
worst of all channels. What differs more is wrong, not rounded."""


class PrecisionError(Exception):
    """The engine or the machine does not compute in the precision that was asked for."""


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network runs in that precision."""
    if precision == "float32":
        return nullcontext()
    # Nothing to keep: a weight is used once a pass, and a recorded pass must hold its own casts.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def exact_convolutions() -> None:
    """Have cuDNN convolve float32 as float32; by default it rounds what goes in to 11 bits (TF32).

    For the whole process. With it, what was fitted on a CPU serves on a GPU.
    """
    torch.backends.cudnn.allow_tf32 = False
