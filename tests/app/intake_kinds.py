"""Tiny kinds whose samples are images in a wrapping, so that everything behind the way in works."""

import base64
import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

from detector.errors import UndecodableImageError
from detector.kinds import Kind


class Card(Kind):
    """JSON with an image in it."""

    name = "card"
    sample = "card"
    media_types = ("application/json",)
    suffixes = (".card",)
    json = True


class Reel(Kind):
    """A zip file of images, of which the first counts."""

    name = "reel"
    sample = "reel"
    media_types = ("application/octet-stream",)
    suffixes = (".reel",)
    archives = True


class Caption(Kind):
    """An image with a text that is not empty."""

    name = "caption"
    sample = "pair"
    media_types = ("application/json",)
    suffixes = (".json", ".jpg", ".png")
    json = True
    pairs = True

    def pair(self, file: bytes, text: str) -> bytes:
        return captioned(file, text)


TINY = (Card(), Reel(), Caption())


def card(content: bytes) -> bytes:
    """Return an image as a card, not in its compact form."""
    return json.dumps({"image": base64.b64encode(content).decode()}, indent=1).encode()


def reel(content: bytes) -> bytes:
    """Return an image as a reel."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("0.png", content)
    return file.getvalue()


def captioned(content: bytes, text: str) -> bytes:
    """Return an image with a text."""
    return json.dumps({"image": base64.b64encode(content).decode(), "text": text}).encode()


KINDS: dict[str, Callable[[bytes], bytes]] = {
    "card": card,
    "reel": reel,
    "caption": partial(captioned, text="some"),
}


def decode(images: Callable[..., Any]) -> Callable[..., Any]:
    """Return the decoder of images, for what they are wrapped in as well."""

    def unwrapped(content: bytes) -> bytes:
        try:
            if content.startswith(b"PK"):
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    return archive.read(archive.namelist()[0])
            if content[:1] in (b"{", b"["):
                found = json.loads(content)
                return base64.b64decode(found["image"] if found.get("text", "-") else "")
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise UndecodableImageError(f"not a sample: {error}") from error
        return content

    return lambda content, **limits: images(unwrapped(content), **limits)
