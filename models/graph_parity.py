"""Whether a runtime's taps of real photographs are torch's in float32.

For every block and statistic,

    max |graph - torch| <= tolerance * max |torch|
"""

from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from models.precision import BFLOAT16_TOLERANCE, Precision
from models.preprocess import Preprocessing
from models.taps import Taps, to_names

TOLERANCE = 1e-4
"""In float32."""
PHOTOGRAPHS = Path(__file__).parent / "weights" / "photographs.safetensors"
"""Four small photographs (CC0 or public domain; their sources stand in the file's metadata)."""


def pictures(preprocessing: Preprocessing, channels: int, side_px: int) -> list[np.ndarray]:
    """Return the photographs prepared, uint8 (3, s, s), or (4, s, s) with a mask."""
    photographs = load_file(PHOTOGRAPHS).values()
    samples = [preprocessing.resize(picture.numpy(), side_px) for picture in photographs]
    if channels == 3:
        return samples
    weights = np.zeros((1, side_px, side_px), np.uint8)
    weights[:, side_px // 8 : side_px // 2, side_px // 4 :] = 200
    return [np.concatenate([sample, weights]) for sample in samples]


def require(ours: Taps, torchs: Taps, precision: Precision, runtime: str) -> None:
    """Raise ValueError if a runtime's taps, in that precision, are not torch's in float32."""
    tolerance = TOLERANCE if precision == "float32" else BFLOAT16_TOLERANCE
    found = to_names(ours)
    for name, wanted in to_names(torchs).items():
        scale = float(wanted.nan_to_num().abs().max()) or 1.0
        error = float((found[name] - wanted).nan_to_num().abs().max()) / scale
        if not error <= tolerance or bool((wanted.isnan() != found[name].isnan()).any()):
            raise ValueError(f"{runtime} differs from torch by {error:.1e} in {name}")
