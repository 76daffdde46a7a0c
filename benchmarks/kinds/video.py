"""Generated clips whose anomalies are of motion alone, and what statistics of differences make.

Four scenes are drawn, a clip's pictures all by one law, normal or not, so that no picture tells:

===========  ==========================================================  ======================
set          what moves, normally                                        what else is random
===========  ==========================================================  ======================
conveyor     textured things on a belt, to the right, at one speed       things, light, noise
discs        three to five discs, each its own way, bouncing             discs, light, noise
rotor        a wheel with five uneven spokes, one way, at one speed      start, light, noise
flow         two layers of texture that drift, the nearer one faster     texture, way, noise
===========  ==========================================================  ======================

The speed of a clip is drawn from a range of 1 to 1.6 and wavers by a twentieth. The anomalies
change what moves: ``stop`` (for half of the clip), ``reverse`` (from some moment on), ``fast``
(twice the speed, for half of the clip), ``jitter`` (the speed of every frame is another, the mean
the same), ``jump`` (twelve frames' way at once, at one moment). Of the discs it is one that does.
Everything is a function of (set, split, number).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.covariance import OAS

KIND = "video"
HEIGHT, WIDTH, FRAMES, RATE = 72, 96, 48, 24
ANOMALIES = ("stop", "reverse", "fast", "jitter", "jump")
TRAIN, GOOD, EACH = 120, 60, 16
_Y, _X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)

Path1 = Float[np.ndarray, " t"]
Picture = Float[np.ndarray, "h w 3"]


def way(rng: np.random.Generator, speed: float, anomaly: str | None) -> Path1:
    """Return how far something has come at every frame, in its own units."""
    waver = 1 + 0.05 * np.sin(rng.uniform(0, 6.3) + np.arange(FRAMES) * rng.uniform(0.1, 0.4))
    steps = speed * rng.uniform(1.0, 1.6) * waver
    start = int(rng.integers(FRAMES // 6, FRAMES // 3))
    during = slice(start, start + FRAMES // 2)
    if anomaly == "stop":
        steps[during] = 0
    elif anomaly == "reverse":
        steps[start:] *= -1
    elif anomaly == "fast":
        steps[during] *= 2
    elif anomaly == "jitter":
        steps = steps * (1 + rng.uniform(-1, 1, FRAMES))
    elif anomaly == "jump":
        steps[start] += 12 * steps.mean()
    path: np.ndarray = np.cumsum(steps)
    return path


def _noise(rng: np.random.Generator, height: int, width: int, grain: float) -> np.ndarray:
    smooth = gaussian_filter(rng.normal(size=(height, width)), grain, mode="wrap")
    result: np.ndarray = smooth / smooth.std()
    return result


def _disc(y: float, x: float, radius: float) -> Float[np.ndarray, "h w"]:
    distance = np.hypot(_Y - y, _X - x)
    result: np.ndarray = np.clip(radius - distance + 0.5, 0, 1)
    return result


def _over(picture: Picture, shape: Float[np.ndarray, "h w"], colour: np.ndarray) -> Picture:
    result: np.ndarray = picture + shape[:, :, None] * (colour - picture)
    return result


def conveyor(rng: np.random.Generator, anomaly: str | None) -> list[Picture]:
    """Return the pictures of a belt with things on it."""
    path = way(rng, 1.0, anomaly) + rng.uniform(0, 200)
    belt = 90 + 8 * _noise(np.random.default_rng(7), HEIGHT, WIDTH, 1.0)
    places = np.cumsum(rng.uniform(24, 44, 40)) - 700
    rows, sizes = rng.uniform(26, 46, 40), rng.uniform(6, 10, 40)
    colours, grains = rng.uniform(110, 230, (40, 3)), rng.uniform(0.3, 0.9, 40)
    pictures = []
    for moved in path:
        picture = np.repeat(belt[:, :, None], 3, axis=2)
        picture[:12] = picture[-12:] = 50
        for place, row, size, colour, grain in zip(
            places, rows, sizes, colours, grains, strict=True
        ):
            x = place + moved
            if -12 < x < WIDTH + 12:
                stripes = 1 + 0.25 * np.sin(grain * (_X - x) + 0.7 * grain * (_Y - row))
                thing = stripes[:, :, None] * colour
                picture = _over(picture, _disc(row, x, size), thing)
        pictures.append(picture)
    return pictures


def discs(rng: np.random.Generator, anomaly: str | None) -> list[Picture]:
    """Return the pictures of discs that bounce, of which one may move otherwise."""
    count = int(rng.integers(3, 6))
    moving = []
    for number in range(count):
        path = way(rng, 1.1, anomaly if number == 0 else None)
        angle = rng.uniform(0, 2 * np.pi)
        y = _bounced(rng.uniform(0, 200) + np.sin(angle) * path, 9, HEIGHT - 9)
        x = _bounced(rng.uniform(0, 200) + np.cos(angle) * path, 9, WIDTH - 9)
        moving.append((y, x, rng.uniform(6, 9), rng.uniform(80, 250, 3)))
    ground = np.full((HEIGHT, WIDTH, 3), 40.0) + 25 * _X[:, :, None] / WIDTH
    pictures = []
    for at in range(FRAMES):
        picture = ground
        for y, x, radius, colour in moving:
            picture = _over(picture, _disc(y[at], x[at], radius), colour)
        pictures.append(picture)
    return pictures


def _bounced(path: Path1, low: float, high: float) -> Path1:
    span = high - low
    result: np.ndarray = low + span - np.abs((path % (2 * span)) - span)
    return result


def rotor(rng: np.random.Generator, anomaly: str | None) -> list[Picture]:
    """Return the pictures of a wheel."""
    path = way(rng, 0.05, anomaly) + rng.uniform(0, 2 * np.pi)
    y, x = _Y - HEIGHT / 2, _X - WIDTH / 2
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    spokes, widths = 2 * np.pi * np.arange(5) / 5, (0.12, 0.16, 0.2, 0.24, 0.28)
    casing = 70 + 10 * np.sin(_X / 5) * np.sin(_Y / 7)
    colour = rng.uniform(150, 230, 3)
    pictures = []
    for turned in path:
        picture = np.repeat(casing[:, :, None], 3, axis=2)
        picture = _over(picture, _disc(HEIGHT / 2, WIDTH / 2, 32), np.full(3, 30.0))
        for spoke, width in zip(spokes, widths, strict=True):
            away = np.abs(np.angle(np.exp(1j * (angle - turned - spoke))))
            blade = np.clip((width - away) * radius + 0.5, 0, 1) * np.clip(30 - radius, 0, 1)
            picture = _over(picture, blade, colour)
        pictures.append(picture)
    return pictures


def flow(rng: np.random.Generator, anomaly: str | None) -> list[Picture]:
    """Return the pictures of two layers that drift."""
    path, angle = way(rng, 0.8, anomaly), rng.uniform(-0.35, 0.35)
    far, near = _noise(rng, 160, 160, 3.0), _noise(rng, 160, 160, 5.0)
    tint = rng.uniform(0.8, 1.2, 3)
    pictures = []
    for moved in path:
        dy, dx = moved * np.sin(angle), moved * np.cos(angle)
        behind = map_coordinates(far, (_Y - 0.6 * dy, _X - 0.6 * dx), order=1, mode="grid-wrap")
        before = map_coordinates(near, (_Y - dy, _X - dx), order=1, mode="grid-wrap")
        grey = 120 + 20 * behind + 40 * np.clip(before, 0, 1.5)
        pictures.append(grey[:, :, None] * tint)
    return pictures


SCENES: dict[str, Callable[[np.random.Generator, str | None], list[Picture]]] = {
    "conveyor": conveyor,
    "discs": discs,
    "rotor": rotor,
    "flow": flow,
}


def clip(scene: str, anomaly: str | None, seed: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
    """Return one clip: the scene under light that changes slowly, with noise."""
    rng = np.random.default_rng(list(seed))
    light = rng.uniform(0.9, 1.1) + 0.04 * np.sin(
        rng.uniform(0, 6.3) + np.arange(FRAMES) * rng.uniform(0.05, 0.15)
    )
    pictures = np.stack(SCENES[scene](rng, anomaly)) * light[:, None, None, None]
    noisy = pictures + rng.normal(0, rng.uniform(2, 5), pictures.shape)
    frames: np.ndarray = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return frames


def write(path: Path, frames: UInt8[np.ndarray, "t h w 3"]) -> None:
    """Write a clip as mp4."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 600_000
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def sets(shared: Path, out: Path) -> list[Path]:
    """Write the four sets below ``out``; return their folders. Nothing shared is needed."""
    folders = []
    for number, scene in enumerate(SCENES):
        folder = out / f"video-{scene}"
        folders.append(folder)
        splits: list[tuple[str, str | None, int]] = [
            ("train/good", None, TRAIN),
            ("test/good", None, GOOD),
        ]
        splits += [(f"test/{anomaly}", anomaly, EACH) for anomaly in ANOMALIES]
        for part, (split, anomaly, count) in enumerate(splits):
            (folder / split).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                path = folder / split / f"{index:03}.mp4"
                if not path.exists():
                    write(path, clip(scene, anomaly, (number, part, index)))
    return folders


def read(path: Path) -> Float[np.ndarray, "t h w"]:
    """Return a clip's pictures in grey levels."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.float32)


def difference_statistics(frames: Float[np.ndarray, "t h w"]) -> Float[np.ndarray, " d"]:
    """Return what is told of the absolute differences of neighbouring frames.

    Mean, deviation, maximum and quantiles over all of the clip; of every frame's mean, deviation,
    upper hundredth and maximum, the mean, deviation, least and greatest over time; and the mean
    and greatest change of a frame's mean from one frame to the next.
    """
    moved = np.abs(np.diff(frames, axis=0))
    whole = [moved.mean(), moved.std(), moved.max(), *np.quantile(moved, [0.5, 0.75, 0.9, 0.99])]
    each = np.stack(
        [
            moved.mean(axis=(1, 2)),
            moved.std(axis=(1, 2)),
            np.quantile(moved, 0.99, axis=(1, 2)),
            moved.max(axis=(1, 2)),
        ]
    )
    over_time = [each.mean(axis=1), each.std(axis=1), each.min(axis=1), each.max(axis=1)]
    change = np.abs(np.diff(each[0]))
    return np.concatenate([whole, *over_time, [change.mean(), change.max()]])


def baseline(
    train: Sequence[Path], test: Sequence[Path], seed: int
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """Return the scores of a Gaussian (OAS) on the statistics of differences; no seed is needed."""
    fitted = np.stack([difference_statistics(read(path)) for path in train])
    asked = np.stack([difference_statistics(read(path)) for path in test])
    centre, scale = fitted.mean(axis=0), fitted.std(axis=0)
    scale[scale == 0] = 1
    gaussian = OAS().fit((fitted - centre) / scale)
    return {"differences, Gaussian": gaussian.mahalanobis((asked - centre) / scale)}
