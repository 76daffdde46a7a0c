"""Images with texts: garments with their names, and with names and tones, against wrong ones.

*names*: the text of an image is its class, of a wrong one another test image's class.
*tones*: the text is brightness, hue and class, "dark warm skirt", the first two by fixed rules from
the mean colour of the image's middle; wrong are the class alone, or the tone alone.
The split is the data's own; every test image stands there once with its text, once with a wrong one
of each sort.
"""

import base64
import colorsys
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from sklearn.covariance import OAS
from sklearn.feature_extraction.text import TfidfVectorizer

from detector.embedder import Embedder
from detector.kinds.image_text import pair
from models.kinds.image_text_inputs import ENDS

KIND = "image_text"
_SIDE_PX, _CELLS, _ANGLES = 64, 4, 8
_ENOUGH = 20
"""Fewest images of a text that have a covariance of their own."""

Item = tuple[Path, str]


def sets(shared: Path, out: Path) -> list[Path]:
    """Write the two sets below ``out``; return their folders."""
    splits = {
        split: sorted((shared / "clothing" / split).glob("*/*.jpg"))
        for split in ("train", "validation", "test")
    }
    train, test = splits["train"] + splits["validation"], splits["test"]
    rng = np.random.default_rng(0)
    names = [path.parent.name for path in test]
    tones = [_tone(path) for path in test]

    def other(own: str, of: list[str]) -> str:
        return str(rng.choice([each for each in of if each != own]))

    wrong_names = [other(name, names) for name in names]
    wrong_tones = [other(tone, tones) for tone in tones]
    return [
        _write(
            out / "clothing-names",
            {
                "train/good": [(path, path.parent.name) for path in train],
                "test/good": list(zip(test, names, strict=True)),
                "test/wrong_name": list(zip(test, wrong_names, strict=True)),
            },
        ),
        _write(
            out / "clothing-tones",
            {
                "train/good": [(path, f"{_tone(path)} {path.parent.name}") for path in train],
                "test/good": [*_both(test, tones, names)],
                "test/wrong_name": [*_both(test, tones, wrong_names)],
                "test/wrong_tone": [*_both(test, wrong_tones, names)],
            },
        ),
    ]


def baseline(
    train: Sequence[Path], test: Sequence[Path], seed: int
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """Return the scores of Gaussians (OAS) of image and text; nothing in them is drawn."""
    known, new = ([_read(path) for path in files] for files in (train, test))
    texts, asked = [text for _, text in known], [text for _, text in new]
    plain, plain_new = (np.stack([_plain(image) for image, _ in each]) for each in (known, new))
    seen, seen_new = _squeezes([image for image, _ in known]), _squeezes([i for i, _ in new])
    words = TfidfVectorizer(token_pattern=r"\S+").fit(texts)
    scale = plain.std(axis=0) + 1e-9
    joint, joint_new = (
        np.hstack([rows / scale, words.transform(of).toarray()])
        for rows, of in ((plain, texts), (plain_new, asked))
    )
    return {
        "colour, gradients and TF-IDF, Gaussian": OAS().fit(joint).mahalanobis(joint_new),
        "colour and gradients, Gaussian per text": _per_text(
            plain / scale, texts, plain_new / scale, asked
        ),
        "se-lite0 squeezes, Gaussian per text": _per_text(seen, texts, seen_new, asked),
    }


def _per_text(
    rows: np.ndarray, texts: Sequence[str], new: np.ndarray, asked: Sequence[str]
) -> np.ndarray:
    """Return squared distances from the images that have the same text.

    A text of few images has the covariance of all images about the means of their texts; one that
    is new is judged by all images.
    """
    of = np.array(texts)
    means = {text: rows[of == text].mean(axis=0) for text in set(texts)}
    within = OAS(assume_centered=True).fit(rows - np.stack([means[text] for text in texts]))
    judges: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for text, mean in means.items():
        if (of == text).sum() >= _ENOUGH:
            judges[text] = OAS().fit(rows[of == text]).mahalanobis
        else:
            judges[text] = partial(_about, within, mean)
    whole = OAS().fit(rows).mahalanobis
    scores = [judges.get(text, whole)(row[None])[0] for row, text in zip(new, asked, strict=True)]
    return np.array(scores)


def _about(covariance: OAS, mean: np.ndarray, rows: np.ndarray) -> np.ndarray:
    distances: np.ndarray = covariance.mahalanobis(rows - mean)
    return distances


def _plain(image: Image.Image) -> np.ndarray:
    """Return mean and deviation of the colours, and of every cell its gradients by direction."""
    pixels = np.asarray(image.resize((_SIDE_PX, _SIDE_PX)), np.float64)
    dy, dx = np.gradient(pixels.mean(axis=2))
    angle = (np.arctan2(dy, dx) % np.pi / np.pi * _ANGLES).astype(int) % _ANGLES
    cell = np.arange(_SIDE_PX) * _CELLS // _SIDE_PX
    where = (cell[:, None] * _CELLS + cell) * _ANGLES + angle
    strength = np.hypot(dy, dx).ravel()
    gradients = np.bincount(where.ravel(), strength, _CELLS**2 * _ANGLES)
    unit = gradients / (np.linalg.norm(gradients) + 1e-9)
    return np.concatenate([pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1)), unit])


def _squeezes(images: Sequence[Image.Image]) -> np.ndarray:
    """Return the mean squeezes of the blocks whose maps the kind itself sees, at 128 px."""
    embedder = Embedder.load("se-lite0", "cpu")
    rows = []
    for image in images:
        embedding = embedder.embed([embedder.prepare(np.asarray(image), 128)])
        blocks = list(embedding.mean.values())
        rows.append(np.concatenate([blocks[end] for end in ENDS], axis=1))
    return np.concatenate(rows)


def _tone(path: Path) -> str:
    """Return how bright the middle of an image is, and its hue, in words."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), np.float64) / 255
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : -(height // 4), width // 4 : -(width // 4)]
    hue, saturation, value = colorsys.rgb_to_hsv(*middle.mean(axis=(0, 1)))
    brightness = "dark" if value < 0.35 else "bright" if value > 0.65 else "medium"
    warm = hue < 0.17 or hue > 0.9
    return f"{brightness} {'plain' if saturation < 0.1 else 'warm' if warm else 'cool'}"


def _both(paths: list[Path], tones: list[str], names: list[str]) -> list[Item]:
    return [(path, f"{tone} {name}") for path, tone, name in zip(paths, tones, names, strict=True)]


def _write(folder: Path, parts: Mapping[str, list[Item]]) -> Path:
    for part, items in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number, (path, text) in enumerate(items):
            content = pair(path.read_bytes(), text)
            (folder / part / f"{number:05d}_{path.stem}.json").write_bytes(content)
    return folder


def _read(path: Path) -> tuple[Image.Image, str]:
    sample = json.loads(path.read_bytes())
    with Image.open(io.BytesIO(base64.b64decode(sample["image"]))) as image:
        return image.convert("RGB"), sample["text"]
