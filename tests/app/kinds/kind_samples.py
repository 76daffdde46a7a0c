"""Samples of every kind, made by formula: normal ones that differ a little, and odd ones.

A new kind brings a function ``(rng, odd) -> bytes`` and a line in ``SAMPLES``; ``HOSTILE``
is bytes that are hardly a sample of any kind.
"""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

Make = Callable[[np.random.Generator, bool], bytes]


def _series(rng: np.random.Generator, odd: bool) -> bytes:
    moments = np.arange(160)
    phases = rng.uniform(0, 6, 2)
    table = np.stack([np.sin(moments / 7 + phases[0]), np.cos(moments / 11 + phases[1])], axis=1)
    table += rng.normal(0, 0.1, table.shape)
    if odd:
        table[60:100] *= 4
    rows = (",".join(f"{value:.6f}" for value in row) for row in table)
    return "\n".join(["left,right", *rows]).encode()


def _audio(rng: np.random.Generator, odd: bool) -> bytes:
    import soundfile

    seconds = np.arange(8000) / 16000
    wave = 0.2 * np.sin(2 * np.pi * 440 * seconds + rng.uniform(0, 6)) + rng.normal(0, 0.02, 8000)
    if odd:
        wave[3000:5000] += 0.3 * np.sin(2 * np.pi * 3000 * seconds[3000:5000])
    file = io.BytesIO()
    soundfile.write(file, wave, 16000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _video(rng: np.random.Generator, odd: bool) -> bytes:
    file = io.BytesIO()
    left, top = int(rng.integers(4, 10)), int(rng.integers(8, 40))
    with zipfile.ZipFile(file, "w") as frames:
        for number in range(16):
            pixels = rng.integers(90, 110, (64, 64, 3), dtype=np.uint8)
            x = left + 2 * (8 if odd and number > 8 else number)
            pixels[top : top + 12, x : x + 12] = (200, 40, 40)
            picture = io.BytesIO()
            Image.fromarray(pixels).save(picture, "PNG")
            frames.writestr(f"{number:03d}.png", picture.getvalue())
    return file.getvalue()


def _graph(rng: np.random.Generator, odd: bool) -> bytes:
    count = int(rng.integers(8, 14))
    nodes = [{"id": f"n{place}", "label": "CNO"[int(rng.integers(3))]} for place in range(count)]
    ends = [(place, 0 if odd else (place + 1) % count) for place in range(odd, count)]
    edges = [{"source": f"n{a}", "target": f"n{b}"} for a, b in ends]
    return json.dumps({"directed": False, "nodes": nodes, "edges": edges}).encode()


def _sequence(rng: np.random.Generator, odd: bool) -> bytes:
    words: list[str] = []
    for _ in range(int(rng.integers(2, 6))):
        file = f"file{int(rng.integers(40))}"
        words += ["open", file, *["read"] * int(rng.integers(1, 4)), "write", "close", file]
    if odd:
        words[int(rng.integers(3)) : 6] = ["panic", "halt", "panic"]
    return json.dumps({"tokens": words}).encode()


def _image_text(rng: np.random.Generator, odd: bool) -> bytes:
    colours = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200)}
    name = [*colours][int(rng.integers(3))]
    noise = rng.integers(-20, 20, (48, 48, 3))
    pixels = np.clip(np.array(colours[name]) + noise, 0, 255).astype(np.uint8)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    said = next(other for other in colours if other != name) if odd else name
    image = base64.b64encode(picture.getvalue()).decode()
    return json.dumps({"image": image, "text": f"a {said} patch"}).encode()


SAMPLES: Mapping[str, Make] = {
    "audio": _audio,
    "graph": _graph,
    "image_text": _image_text,
    "sequence": _sequence,
    "series": _series,
    "video": _video,
}


def samples(kind: str, count: int, *, odd: bool = False, seed: int = 0) -> list[bytes]:
    """Return so many samples, all different; the same for the same arguments."""
    rng = np.random.default_rng([seed, odd])
    found: dict[bytes, None] = {}
    while len(found) < count:
        found[SAMPLES[kind](rng, odd)] = None
    return list(found)


HOSTILE = {
    "nothing": b"",
    "one byte": b"\x00",
    "words": b"this is no such thing",
    "null": b"null",
    "brackets": b"[" * 100_000,
    "numbers": b"[1e999, NaN, -Infinity]",
    "an object": b'{"nodes": [], "tokens": [], "image": "", "text": ""}',
    "binary": bytes(range(256)) * 64,
    "a zip's beginning": b"PK\x03\x04" + b"\x00" * 100,
    "a wav's beginning": b"RIFF\xff\xff\xff\xffWAVEfmt ",
    "halves of a pair": b'{"tokens": ["\\ud800"], "text": "\\udfff"}',
}
