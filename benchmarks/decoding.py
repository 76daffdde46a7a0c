"""What decoding costs, in full and at the scale that embedding needs, and how far rows' pixels are.

    OMP_NUM_THREADS=1 python -m benchmarks.decoding [--side 224] [--seconds 2]

For JPEG (quality 92), PNG and WebP of 0.2, 2 and 12 megapixels: milliseconds of CPU an image,
decoded and resized, medians with the two ways taking turns; their ratio; and the mean difference of
the resized pictures in grey levels. The picture is scikit-image's astronaut, enlarged, with noise
of three levels, for an enlarged photograph alone is smoother than a camera's.
"""

import argparse
import io
import statistics
import time

import numpy as np
from PIL import Image
from skimage import data
from tqdm import tqdm

from detector import imaging
from models.preprocess import LITE0

SIZES = {"0.2": (512, 384), "2": (1600, 1200), "12": (4000, 3000)}
FORMATS: dict[str, dict[str, int]] = {"JPEG": {"quality": 92}, "PNG": {}, "WEBP": {"quality": 92}}


def encoded(size: tuple[int, int], kind: str) -> bytes:
    """Return the picture as a file of this format."""
    photograph = Image.fromarray(data.astronaut())  # type: ignore[no-untyped-call]
    picture = np.asarray(photograph.resize(size, Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    noisy = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, kind, **FORMATS[kind])
    return file.getvalue()


def resized(content: bytes, side_px: int, *, scaled: bool) -> np.ndarray:
    """Return the picture as it is embedded, (3, s, s)."""
    wanted = side_px if scaled else None
    pixels = imaging.decode(content, max_pixels=2**25, min_side=1, side_px=wanted)
    return LITE0.resize(pixels, side_px)


def measured(content: bytes, side_px: int, seconds: float) -> tuple[float, float]:
    """Return milliseconds of CPU of a full and of a scaled decode, medians of turns."""
    times_s: dict[bool, list[float]] = {False: [], True: []}
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s or len(times_s[True]) < 5:
        for scaled, times in times_s.items():
            started_s = time.process_time()
            resized(content, side_px, scaled=scaled)
            times.append(time.process_time() - started_s)
    full, less = (1e3 * statistics.median(times) for times in times_s.values())
    return full, less


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    lines = ["| format | MP | kB | full, ms | scaled, ms | full / scaled | apart |"]
    lines.append("|---|---|---|---|---|---|---|")
    for kind in tqdm(FORMATS, unit="format"):
        for megapixels, size in SIZES.items():
            content = encoded(size, kind)
            full, less = measured(content, options.side, options.seconds)
            ours, theirs = (
                resized(content, options.side, scaled=scaled) for scaled in (True, False)
            )
            lines.append(
                f"| {kind} | {megapixels} | {len(content) / 1e3:.0f} | {full:.1f} | {less:.1f} "
                f"| {full / less:.2f} | {np.abs(ours.astype(float) - theirs).mean():.2f} |"
            )
    print(f"to {options.side} px, decode and resize")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
