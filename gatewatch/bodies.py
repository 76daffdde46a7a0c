"""What is sent with a request, in pieces: a file as it is, or a form of many (RFC 7578)."""

import base64
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from gatewatch.folders import OF_IMAGES, Looked, listed
from gatewatch.images import (
    Image,
    Images,
    Piece,
    archive_type,
    given,
    of_path,
    piece,
    sendable,
)

OCTETS = "application/octet-stream"
Mask = Any
"""An image, white where the picture counts; or polygons, ``[[[x, y], ...], ...]``, corners as
fractions of width and height."""


class Body(Protocol):
    """What a request carries."""

    @property
    def media_type(self) -> str:
        """For the header."""

    @property
    def size(self) -> int | None:
        """In bytes, if it is known."""

    @property
    def again(self) -> bool:
        """Whether it can be sent more than once."""

    def pieces(self) -> Iterator[bytes]:
        """Yield it, from its beginning each time."""


@dataclass(frozen=True)
class Raw:
    """One file as it is."""

    file: Piece
    media_type: str = OCTETS

    @property
    def size(self) -> int | None:
        """In bytes, if it is known."""
        return self.file.size

    @property
    def again(self) -> bool:
        """Whether it can be sent more than once."""
        return self.file.again

    def pieces(self) -> Iterator[bytes]:
        """Yield it, from its beginning each time."""
        return self.file.pieces()


@dataclass(frozen=True)
class Part:
    """A part of a form: a file of a field, or a text."""

    field: str
    file: Piece
    is_text: bool = False


@dataclass(frozen=True)
class Form:
    """Files and texts, one after the other; each is opened when its turn comes."""

    parts: Sequence[Part]
    boundary: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def media_type(self) -> str:
        """For the header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int | None:
        """In bytes, if that of every part is known."""
        total = len(self._end())
        for part in self.parts:
            if part.file.size is None:
                return None
            total += len(self._head(part)) + part.file.size + 2
        return total

    @property
    def again(self) -> bool:
        """Whether every part can be sent more than once."""
        return all(part.file.again for part in self.parts)

    def pieces(self) -> Iterator[bytes]:
        """Yield it, from its beginning each time."""
        for part in self.parts:
            yield self._head(part)
            yield from part.file.pieces()
            yield b"\r\n"
        yield self._end()

    def _head(self, part: Part) -> bytes:
        lines = f'--{self.boundary}\r\nContent-Disposition: form-data; name="{part.field}"'
        if not part.is_text:
            lines += f'; filename="{_quoted(part.file.name)}"\r\nContent-Type: {OCTETS}'
        return f"{lines}\r\n\r\n".encode()

    def _end(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()


def one(image: Image, mask: Mask = None) -> Body:
    """Return the body for one sample: as it is, unless something has to come along.

    That may be its name, its text, or a mask.
    """
    file = piece(image)
    is_bare = mask is None and not file.name and file.text is None
    return Raw(file) if is_bare else many([file], mask)


def many(
    images: Images,
    mask: Mask = None,
    *,
    anomalies: Images = (),
    groups: Mapping[str, str] | None = None,
    look: Looked = OF_IMAGES,
) -> Body:
    """Return the body for a number of samples, and what comes with them.

    Args:
        images: The samples, of whatever kind.
        mask: That counts for all of them.
        anomalies: More of them, which are known to be odd.
        groups: What each belongs to, by its name.
        look: Which files of folders they are.

    Raises:
        OSError: if there is no such file or folder.
        ValueError: if there is no image, or an archive is given with what only a form can carry.
    """
    packed = archive_type(images)
    if packed:
        if mask is not None or groups is not None or given(anomalies):
            raise ValueError(
                "an archive takes no mask, groups or anomalies along: give a folder, or take "
                "groups from the archive's folders by group_from='folder'"
            )
        return Raw(of_path(Path(str(images)), ""), packed)
    parts = _files("images", images, look)
    if not parts:
        raise ValueError("there is no image to send")
    parts += _files("anomalies", anomalies, look) if given(anomalies) else []
    if groups is not None:
        known = {sendable(name): group for name, group in groups.items()}
        parts.append(Part("groups", _text(known), is_text=True))
    if mask is not None:
        parts.append(_mask(mask))
    return Form(parts)


def mask_json(mask: Mask) -> Any:
    """Return a mask as a new detector takes it: a word, polygons, or an image in base64."""
    if isinstance(mask, str) and mask in ("none", "request"):
        return mask
    if isinstance(mask, list):
        return {"polygons": mask}
    content = b"".join(piece(mask).pieces())
    return {"image": base64.b64encode(content).decode()}


def _files(name: str, images: Images, look: Looked) -> list[Part]:
    """Return the parts of samples; the text of a pair comes after its file."""
    parts: list[Part] = []
    for at, each in enumerate(listed(images, look)):
        parts.append(Part(name, each if each.name else replace(each, name=f"{name}-{at}")))
        if each.text is not None:
            parts.append(Part("texts", _plain(each.text), is_text=True))
    return parts


def _mask(mask: Mask) -> Part:
    if isinstance(mask, list):
        return Part("mask", _text(mask), is_text=True)
    made = piece(mask)
    return Part("mask", Piece(made.name or "mask.png", made.size, made.pieces, made.again))


def _text(value: Any) -> Piece:
    return _plain(json.dumps(value))


def _plain(text: str) -> Piece:
    content = text.encode()
    return Piece("", len(content), lambda: iter((content,)))


def _quoted(name: str) -> str:
    return sendable(name).replace("\\", "\\\\").replace('"', '\\"')
