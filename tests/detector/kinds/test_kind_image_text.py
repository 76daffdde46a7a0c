"""The kind of images with texts: what is decoded, learned, located and drawn."""

import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import (
    DegenerateDataError,
    ImageTooLargeError,
    InvalidSpecError,
    SampleError,
    SampleTooLargeError,
    UndecodableImageError,
    UndecodableSampleError,
    UnsupportedImageError,
)
from detector.kinds.image_text import ImageText, WordedImage, pair
from detector.kinds.learned import Learned, learn, read
from detector.metrics import auroc
from detector.spec import Spec
from models.plan import Plan

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


class Quick(ImageText):
    """The kind, hardly trained."""

    plan: ClassVar[Plan] = Plan(steps=3, rounds=1)


class Short(ImageText):
    """The kind, trained for seconds."""

    plan: ClassVar[Plan] = Plan(batch=32, steps=40, rounds=3)


KIND = Quick()
VIEW = KIND.view({"side_px": 64, "longest": 8})


def file_of(colour: str = "red", seed: int = 0, form: str = "PNG", size: int = 20) -> bytes:
    noise = np.random.default_rng(seed).normal(0, 20, (size, size, 3))
    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def contents(count: int = 15) -> list[bytes]:
    names = sorted(COLOURS)
    return [
        pair(file_of(names[n % 3], n), f"A {names[n % 3]} " + "square " * (n % 2 + 1))
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(KIND, [KIND.decode(each, VIEW) for each in contents()], VIEW, seed=3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_every_format_is_decoded(form: str) -> None:
    sample = KIND.decode(pair(file_of("blue", form=form), "Blue"), VIEW)
    assert sample.pixels.shape == (20, 20, 3)
    assert sample.pixels.mean(axis=(0, 1)).argmax() == 2
    assert sample.words == ("blue",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A T-shirt, ROT!", ("a", "t-shirt", "rot")),
        ("l'été  x_1 - 2", ("l'été", "x_1", "2")),
        ("\uff26ull width", ("full", "width")),
        ("衣服 👕 кофта", ("衣服", "кофта")),
        ("\ud800 half", ("half",)),
        ("x" * 9000 + " end", ("x" * 100, "end")),
    ],
)
def test_text_becomes_words(text: str, words: tuple[str, ...]) -> None:
    assert KIND.decode(pair(file_of(), text), VIEW).words == words


def test_large_images_wait_small() -> None:
    sample = KIND.decode(pair(file_of(size=400), "x"), VIEW)
    assert sample.pixels.shape == (128, 128, 3)
    out = io.BytesIO()
    Image.new("RGB", (1000, 20)).save(out, "PNG")
    assert KIND.decode(pair(out.getvalue(), "x"), VIEW).pixels.shape == (20, 128, 3)


def encoded(image: object, text: object = "x", **more: object) -> bytes:
    return json.dumps({"image": image, "text": text, **more}).encode()


PIXEL = base64.b64encode(file_of()).decode()


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        (b"", UndecodableSampleError, "not JSON"),
        (b"\xff\xfe{", UndecodableSampleError, "not JSON"),
        (b"[" * 9000, UndecodableSampleError, "not JSON"),
        (b"[" * 50_000, UndecodableSampleError, "more than"),
        (b"{}", UndecodableSampleError, "send an object"),
        (b"[1]", UndecodableSampleError, "send an object"),
        (encoded(PIXEL, None), UndecodableSampleError, "send an object"),
        (encoded(7), UndecodableSampleError, "send an object"),
        (encoded("***"), UndecodableSampleError, "not base64"),
        (encoded("é"), UndecodableSampleError, "not base64"),
        (encoded(""), UndecodableImageError, "empty"),
        (encoded("aGVsbG8="), UndecodableImageError, "not an image"),
        (encoded(PIXEL[:80]), UndecodableImageError, "cannot be decoded"),
        (encoded(PIXEL, "..."), UndecodableSampleError, "no word"),
        (encoded(PIXEL, "word " * 9), SampleTooLargeError, "9 words exceed the 8"),
        (encoded(PIXEL, "x" * 10_001), SampleTooLargeError, "10001 characters"),
        (pair(file_of(size=7), "x"), UnsupportedImageError, "at least 8"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, error: type, told: str) -> None:
    with pytest.raises(error, match=told):
        KIND.decode(content, VIEW)


def test_limits_are_kept_before_the_memory_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quick, "limits", {**ImageText.limits, "bytes": 1000})
    with pytest.raises(SampleTooLargeError, match="bytes exceed the limit of 1000"):
        KIND.decode(b" " * 1001, VIEW)
    monkeypatch.setattr(Quick, "limits", {**ImageText.limits, "pixels": 399})
    with pytest.raises(ImageTooLargeError, match="399"):
        KIND.decode(pair(file_of(), "x"), VIEW)


@given(
    at=st.integers(0, 4000),
    bit=st.integers(0, 7),
    end=st.integers(0, 4000),
    inner=st.booleans(),
    form=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]),
)
def test_damage_is_refused_or_read(at: int, bit: int, end: int, inner: bool, form: str) -> None:
    """Property: flipped bits and lost ends, of the file or of the JSON, never end otherwise."""
    image = file_of(form=form)
    spoilt = bytearray(image if inner else pair(image, "a red square"))
    spoilt[at % len(spoilt)] ^= 1 << bit
    rest = bytes(spoilt[: len(spoilt) - end % len(spoilt) // 2])
    try:
        sample = KIND.decode(pair(rest, "a red square") if inner else rest, VIEW)
    except SampleError:
        return
    assert sample.pixels.dtype == np.uint8
    assert sample.words


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: pair(file_of(), text)))
def test_anything_is_refused_or_read(content: bytes) -> None:
    with contextlib.suppress(SampleError):
        assert KIND.decode(content, VIEW).words


@pytest.mark.parametrize(
    "values",
    [{"side_px": 63}, {"side_px": 385}, {"longest": 0}, {"longest": 257}, {"vocabulary": 1},
     {"side_px": 64.0}, {"colour": 1}],
)  # fmt: skip
def test_views_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError, match="view"):
        KIND.view(values)


def worded(*texts: str) -> list[WordedImage]:
    pixels = np.zeros((8, 8, 3), np.uint8)
    return [WordedImage(pixels, tuple(text.split())) for text in texts]


def test_words_that_come_again_are_known() -> None:
    samples = worded("red hat", "red shoe", "blue shoe", "blue blue", "red once once")
    assert KIND.settings(samples, VIEW) == {"words": ["blue", "red", "shoe"]}
    long = [f"{number:05}" + "x" * 95 for number in range(20_000)]
    assert len(KIND.settings(worded(" ".join(long), " ".join(long[1:]), *long), VIEW)["words"]) == (
        VIEW.vocabulary
    )
    widest = KIND.view({"vocabulary": 50_000})
    kept = KIND.settings(worded(" ".join(long), " ".join(long[1:]), *long), widest)["words"]
    assert len(kept) == 10_000, "a million characters"
    fewer = KIND.view({"vocabulary": 2})
    assert KIND.settings(samples, fewer) == {"words": ["blue", "red"]}


@pytest.mark.parametrize("texts", [("hat",) * 9, ("a", "b", "c"), ("hat", "hat", "shoe")])
def test_texts_without_a_difference_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(DegenerateDataError, match="texts"):
        KIND.settings(worded(*texts), VIEW)


def test_law_alone_is_as_in_a_batch(learned: Learned) -> None:
    arrays = [learned.prepare(each) for each in contents(6)]
    together = learned.embedder.embed(arrays)
    alone = Embedding.concatenate([learned.embedder.embed([each]) for each in arrays])
    for statistic in ("gate", "mean", "std", "maximum"):
        for block, values in getattr(together, statistic).items():
            np.testing.assert_allclose(
                getattr(alone, statistic)[block], values, rtol=1e-4, atol=1e-5
            )
    np.testing.assert_array_equal(alone.thumbnail, together.thumbnail)


def test_law_the_same_seed_gives_the_same_network(learned: Learned) -> None:
    samples = [KIND.decode(each, VIEW) for each in contents()]
    assert learn(KIND, samples, VIEW, seed=3).fingerprint == learned.fingerprint
    assert learn(KIND, samples, VIEW, seed=4).fingerprint != learned.fingerprint


def test_law_a_file_gives_the_same_network(learned: Learned) -> None:
    again = read(KIND, learned.to_bytes())
    assert again.fingerprint == learned.fingerprint
    array = learned.prepare(contents(1)[0])
    np.testing.assert_array_equal(again.prepare(contents(1)[0]), array)
    for block, values in learned.embedder.embed([array]).mean.items():
        np.testing.assert_array_equal(again.embedder.embed([array]).mean[block], values)


def test_the_frozen_trunk_is_not_in_the_file(learned: Learned) -> None:
    assert len(learned.to_bytes()) < 300_000


SHARES = {
    "gates.image": np.arange(4.0).reshape(2, 2),
    "gates.text": np.array([1.0, -2.0, 5.0]),
    "agreement": np.random.default_rng(0).normal(size=(3, 2, 2)),
}


def test_shares_are_located_in_image_and_text() -> None:
    sample = WordedImage(np.zeros((20, 30, 3), np.uint8), ("a", "red", "hat"))
    places, words = KIND.locate(sample, VIEW, SHARES)
    assert [axis.name for axis in places.axes] == ["y", "x"]
    assert places.axes[0].values == (0.25, 0.75)
    assert words.axes[0].values == ("a", "red", "hat")
    agreement = SHARES["agreement"]
    np.testing.assert_allclose(places.values, SHARES["gates.image"] + agreement.sum(0) / 2)
    np.testing.assert_allclose(words.values, SHARES["gates.text"] + agreement.sum((1, 2)) / 2)
    total = sum(float(share.sum()) for share in SHARES.values())
    assert places.values.sum() + words.values.sum() == pytest.approx(total)


@pytest.mark.parametrize("threshold", [None, 0.0, 4.0, 1e9])
@pytest.mark.parametrize("size", [(20, 30), (128, 8), (8, 128)])
def test_the_picture_is_drawn(threshold: float | None, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    words = ("a", "衣服", "x" * 5000, *("red",) * 5)
    sample = WordedImage(pixels, words)
    shares = {"gates.image": SHARES["gates.image"], "gates.text": np.arange(8.0) - 2}
    picture = KIND.picture(sample, VIEW, KIND.locate(sample, VIEW, shares), threshold)
    assert picture.dtype == np.uint8
    assert 400 <= picture.shape[1] <= 1024
    assert picture.shape[2] == 3
    colourful = (np.ptp(picture.astype(int), axis=2) > 60).any()
    assert colourful == (threshold != 1e9)


def test_wrong_names_stand_out(data_dir: Path) -> None:
    """Quality, loosely: three garments, 120 images, seconds of training; chance is 0.5."""
    kind, names = Short(), ("hat", "pants", "shoes")
    view = kind.view({"side_px": 64})

    def files(split: str, most: int) -> list[tuple[bytes, str]]:
        folder = data_dir / "clothing" / split
        return [
            (path.read_bytes(), name)
            for name in names
            for path in sorted((folder / name).glob("*.jpg"))[:most]
        ]

    normal, test = files("train", 40), files("test", 10)
    wrong = [(image, names[(names.index(name) + 1) % 3]) for image, name in test]
    made = learn(kind, [kind.decode(pair(*each), view) for each in normal], view)

    def embedded(samples: list[tuple[bytes, str]]) -> Embedding:
        arrays = [made.prepare(pair(*each)) for each in samples]
        return Embedding.concatenate([made.embedder.embed([array]) for array in arrays])

    spec = Spec("x", "se-image_text", made.fingerprint, "gaussian", "squeeze_stats")
    detector = Detector(spec)
    detector = detector.learn(detector.statistics_of(embedded(normal)), extend=False)
    scores = np.concatenate([detector.scores(embedded(each)) for each in (test, wrong)])
    assert auroc(scores, np.arange(len(scores)) >= len(test)) > 0.8
