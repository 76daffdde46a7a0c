"""Images with their texts: whether they agree, learned from pairs that do.

One sample is a JSON object, ``{"image": "<base64 of a JPEG, PNG, ...>", "text": "..."}``.
The text is taken as words: NFKC, lower case, runs of letters, digits and ``_``, with hyphens and
apostrophes within ("t-shirt" is one word), of each the first 100 characters. A word that stands in
fewer than two of the normal texts is the unknown one.

Measured on 1755 garments with their names, 347 test images with right and wrong names, AUROC of all
rows, seeds 0 and 1 (and with tone and name, "dark warm skirt", where one of the two is wrong)::

    words contrasted, the task here             0.97, 0.96    (0.85, 0.83)
    whole texts contrasted                      0.97, 0.96    (0.78, 0.80)
    the network untrained                       0.50          (0.54)
    squeezes of agreement, not of surprise      0.82          (0.73)

Plain baselines stand in docs/kinds.md, beside it on the same files. A classifier of SE-Lite0's
squeezes that is told that texts are classes (logistic regression) comes to 0.99; it needs texts
that are. At 192 px instead of 128: 0.97 (0.86), for twice the time.
"""

import base64
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from detector import imaging
from detector.errors import (
    DegenerateDataError,
    InvalidSpecError,
    SampleTooLargeError,
    UndecodableSampleError,
)
from detector.kinds import image
from detector.kinds.kind import Axis, LearnedKind, Located, Shares
from detector.kinds.parsing.vocabulary_bounds import LONGEST_WORD, within
from detector.kinds.pictures import painting
from detector.kinds.preparation import SamplePreparation
from models.kinds.image_text_inputs import CHANNELS, ImageTextInputs, cells
from models.kinds.image_text_learning import Matching, WordContrast
from models.plan import Plan
from models.self_supervision import Task
from models.tokens import Tokens, Vocabulary

MIN_SIDE_PX = 8
_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*")
_SYNTAX = b'{["'
_SPARE = 64
_WIDTH_PX, _MARGIN_PX, _FONT_PX, _LETTERS = 512, 16, 22, 36


@dataclass(frozen=True, slots=True)
class ImageTextView:
    """How an image with its text is looked at.

    Attributes:
        side_px: of the square that the network sees of the image.
        longest: most words of a text.
        vocabulary: most words that are known; the most frequent are.

    Raises:
        InvalidSpecError: if one is out of range.
    """

    side_px: int = 128
    longest: int = 64
    vocabulary: int = 5000

    def __post_init__(self) -> None:
        for name, least, most in (
            ("side_px", 64, 384),
            ("longest", 1, 256),
            ("vocabulary", 2, 50_000),
        ):
            if not least <= getattr(self, name) <= most:
                raise InvalidSpecError(
                    f"view {name!r} must be in {least}..{most}, got {getattr(self, name)}"
                )


@dataclass(frozen=True, slots=True)
class WordedImage:
    """An image, of at most twice the view's side each way, and the words of its text."""

    pixels: UInt8[np.ndarray, "h w 3"]
    words: tuple[str, ...]


def pair(image: bytes, text: str) -> bytes:
    """Return the sample of an image file and its text."""
    return json.dumps({"image": base64.b64encode(image).decode("ascii"), "text": text}).encode()


class ImageText(LearnedKind[WordedImage, ImageTextView]):
    """An image with its text."""

    name = "image_text"
    sample = "image with text"
    media_types = ("application/json",)
    suffixes = (".json", *image.KIND.suffixes)
    json = True
    pairs = True
    limits: ClassVar[Mapping[str, float]] = {
        "bytes": 32 << 20,
        "pixels": 32_000_000,
        "characters": 10_000,
    }
    View = ImageTextView
    most_samples = 2000
    plan = Plan(batch=32, steps=50, rounds=12, patience=4)

    def pair(self, file: bytes, text: str) -> bytes:
        """Return the sample of an image file and its text."""
        return pair(file, text)

    def decode(self, content: bytes, view: ImageTextView) -> WordedImage:
        """Return image and words. Raises SampleError as ``LearnedKind`` says."""
        image, text = self._parts(content)
        found = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
        words = tuple(word[:LONGEST_WORD] for word in found)
        if not words:
            raise UndecodableSampleError("the text has no word: send at least one")
        if len(words) > view.longest:
            raise SampleTooLargeError(
                f"{len(words)} words exceed the {view.longest} of the view 'longest': send a "
                "shorter text, or create the detector with a greater one"
            )
        pixels = imaging.decode(
            image,
            max_pixels=int(self.limits["pixels"]),
            min_side=MIN_SIDE_PX,
            side_px=view.side_px,
        )
        return WordedImage(_shrunk(pixels, view.side_px), words)

    def settings(self, samples: Sequence[WordedImage], view: ImageTextView) -> dict[str, Any]:
        """Return the words that stand in two or more of the texts."""
        counts = Counter(word for sample in samples for word in set(sample.words))
        known = {word for word, count in counts.items() if count > 1}
        texts = [[word for word in sample.words if word in known] for sample in samples]
        if len({tuple(text) for text in texts if text}) < 2:
            raise DegenerateDataError(
                "all texts are alike, or no two share a word: which text belongs to which image "
                "is learned from several texts whose words come again"
            )
        return {"words": within(Vocabulary.fit(texts, view.vocabulary).tokens)}

    def network(
        self, view: ImageTextView, settings: Mapping[str, Any]
    ) -> tuple[nn.Module, SamplePreparation]:
        """Return the network and its preparation."""
        vocabulary = Vocabulary(tuple(settings["words"]))
        inputs = ImageTextInputs(view.side_px, Tokens(vocabulary, view.longest))
        return Matching(CHANNELS, vocabulary.size), inputs

    def task(self, network: nn.Module, view: ImageTextView, settings: Mapping[str, Any]) -> Task:
        """Return the question whose words they are."""
        assert isinstance(network, Matching)
        return WordContrast(network)

    def locate(
        self, sample: WordedImage, view: ImageTextView, shares: Shares
    ) -> tuple[Located, ...]:
        """Return a map of the image and the words' shares.

        What a word has to do with a place is half the word's, half the place's.
        """
        grid = cells(view.side_px)
        places = np.zeros((grid, grid))
        words = np.zeros(len(sample.words))
        for share in shares.values():
            if share.ndim == 3:
                places += share.sum(axis=0) / 2
                words += share.sum(axis=(1, 2)) / 2
            elif share.ndim == 2:
                places += share
            else:
                words += share
        fractions = tuple((np.arange(grid) + 0.5) / grid)
        return (
            Located("image", (Axis("y", "1", fractions), Axis("x", "1", fractions)), places),
            Located("text", (Axis("word", "", sample.words),), words),
        )

    def picture(
        self,
        sample: WordedImage,
        view: ImageTextView,
        located: Sequence[Located],
        threshold: float | None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return the image with its odd places painted, and the words beneath in their colours."""
        places, words = (each.values for each in located)
        return np.asarray(_painted(sample, places, words, threshold))

    def _parts(self, content: bytes) -> tuple[bytes, str]:
        """Return the image's file and the text."""
        if len(content) > self.limits["bytes"]:
            raise SampleTooLargeError(
                f"{len(content)} bytes exceed the limit of {self.limits['bytes']}: send a "
                "smaller image"
            )
        # Base64 has none of these: so many would be objects that take far more memory than bytes.
        if (
            sum(content.count(b"%c" % each) for each in _SYNTAX)
            > self.limits["characters"] + _SPARE
        ):
            raise UndecodableSampleError('it is more than {"image": "<base64>", "text": "..."}')
        try:
            sample = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UndecodableSampleError(f"it is not JSON: {error}") from error
        if not isinstance(sample, dict) or not all(
            isinstance(sample.get(name), str) for name in ("image", "text")
        ):
            raise UndecodableSampleError('send an object {"image": "<base64>", "text": "..."}')
        if len(sample["text"]) > self.limits["characters"]:
            raise SampleTooLargeError(
                f"{len(sample['text'])} characters of text exceed the limit of "
                f"{self.limits['characters']}: send a shorter text"
            )
        try:
            image = base64.b64decode(sample["image"], validate=True)
        except ValueError as error:
            raise UndecodableSampleError(f"the image is not base64: {error}") from error
        return image, sample["text"]


def _shrunk(pixels: np.ndarray, side_px: int) -> np.ndarray:
    """Return an image no larger than is of use: samples wait in memory to be learned from.

    Its longer side is at most ``OVERSAMPLING`` times the side; neither gets shorter than the side.
    """
    height, width = pixels.shape[:2]
    scale = min(imaging.OVERSAMPLING * side_px / max(height, width), 1)
    size = [min(length, max(round(length * scale), side_px)) for length in (width, height)]
    if size == [width, height]:
        return pixels
    return np.array(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BILINEAR))


def _painted(
    sample: WordedImage, places: np.ndarray, words: np.ndarray, line: float | None
) -> Image.Image:
    """Return the image with its places coloured; its words in their colours beneath.

    Each map is held against its own part of the line: as much of it as the map has of the score.
    """
    score = float(places.sum() + words.sum())

    def ratios(part: np.ndarray) -> np.ndarray:
        whole = float(part.sum())
        own = line * whole / score if line and score > 0 and whole > 0 else line
        times: np.ndarray = painting.ratios(part, None if own is None else max(own, 1e-6))
        return times.clip(-9, 9)

    height, width = sample.pixels.shape[:2]
    scale = _WIDTH_PX / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    picture = Image.fromarray(sample.pixels).resize(size, Image.Resampling.BICUBIC)
    ratio = Image.fromarray(ratios(places).astype(np.float32))
    image = painting.painted(
        np.asarray(picture, np.float64), np.asarray(ratio.resize(size, Image.Resampling.BICUBIC))
    )
    colours = painting.painted(np.full((1, len(words), 3), 232.0), ratios(words)[None])[0]

    font = ImageFont.load_default(_FONT_PX)
    shown = [
        word if len(word) <= _LETTERS else f"{word[: _LETTERS - 2]}.." for word in sample.words
    ]
    boxes, x, y = [], _MARGIN_PX, size[1] + 2 * _MARGIN_PX
    for word in shown:
        wide = round(font.getlength(word)) + _FONT_PX
        if x > _MARGIN_PX and x + wide > _WIDTH_PX + _MARGIN_PX:
            x, y = _MARGIN_PX, y + 2 * _FONT_PX
        boxes.append((x, y, x + wide, y + _FONT_PX * 8 // 5))
        x += wide + _FONT_PX // 3
    right = max(_WIDTH_PX + 2 * _MARGIN_PX, max(box[2] for box in boxes) + _MARGIN_PX)
    page = Image.new("RGB", (right, boxes[-1][3] + _MARGIN_PX), "white")
    page.paste(Image.fromarray(image), ((right - size[0]) // 2, _MARGIN_PX))
    draw = ImageDraw.Draw(page)
    for word, box, colour in zip(shown, boxes, colours, strict=True):
        draw.rounded_rectangle(box, radius=_FONT_PX // 3, fill=tuple(int(c) for c in colour))
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        draw.text(middle, word, fill=(24, 24, 24), font=font, anchor="mm")
    return page


KIND = ImageText()
