"""The same images as every kind of upload, and requests that bring them in pieces."""

import asyncio
import gzip
import io
import tarfile
import zipfile
from collections.abc import Awaitable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request

from app.intake.limits import Limits
from app.intake.spool import Entry, Spooled, SpoolFile
from app.intake.spooling import spool

BOUNDARY = "xXx"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
ZIP, TAR, GZIP = "application/zip", "application/x-tar", "application/gzip"
LIMITS = Limits(images=50, total_bytes=2**22, image_bytes=2**21, ratio=200, body_bytes=2**40)

FILES = [
    ("lot 1/b.png", b"\x89PNG one"),
    ("lot 1/c.png", b"\r\n--xXx\0\xff" * 9000),
    ("lot 2/empty.png", b""),
    ("lot 2/\xe4\N{SNOWMAN}.png", np.random.default_rng(0).bytes(1_500_000)),
    ("z.png", b"\x89PNG one"),
]
"""In the order of their paths, as a folder has them."""
KINDS = ("multipart", "zip", "stored", "tar", "gnu tar", "tar.gz")

R = TypeVar("R")
Named = Iterable[tuple[str, bytes]]


def run(test: Awaitable[R]) -> R:
    """Run a test in an event loop; a test that hangs fails within minutes."""

    async def limited() -> R:
        return await asyncio.wait_for(test, 300)

    return asyncio.run(limited())


def zipped(files: Named, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file of these, in order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return file.getvalue()


def tarred(files: Iterable[tuple[str | tarfile.TarInfo, bytes]], kind: int = 2) -> bytes:
    """Return a tar file of these, in order; of a header its size is kept."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
        for member, content in files:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def part(content: bytes, field: str = "images", file: str | None = "a.png") -> bytes:
    """Return a part of a form; without a file name it is text."""
    named = "" if file is None else f'; filename="{file}"'
    head = f'Content-Disposition: form-data; name="{field}"{named}\r\n\r\n'
    return f"--{BOUNDARY}\r\n{head}".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a form of these parts."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def uploads(files: Named) -> dict[str, tuple[bytes, str]]:
    """Return the same files as every kind of body that can have many, with its type."""
    files = list(files)
    tar = tarred(files)
    return {
        "multipart": (form(*(part(content, file=name) for name, content in files)), FORM),
        "zip": (zipped(files), ZIP),
        "stored": (zipped(files, zipfile.ZIP_STORED), ZIP),
        "tar": (tar, TAR),
        "gnu tar": (tarred(files, tarfile.GNU_FORMAT), "application/x-gtar"),
        "tar.gz": (gzip.compress(tar, mtime=0), GZIP),
    }


def request(body: bytes | Iterable[bytes], kind: str | None, piece: int = 65_536) -> Request:
    """Return a request whose body comes in pieces."""
    if isinstance(body, bytes):
        whole = body
        body = (whole[at : at + piece] for at in range(0, len(whole), piece))
    pieces: Iterator[bytes] = iter(body)

    async def receive() -> Any:
        content = next(pieces, None)
        return {"type": "http.request", "body": content or b"", "more_body": content is not None}

    headers = [] if kind is None else [(b"content-type", kind.encode())]
    return Request({"type": "http", "headers": headers}, receive)


def take(folder: Path, body: bytes | Iterable[bytes], media: str | None, **options: Any) -> Spooled:
    """Spool a body into a new file of a folder, and find nothing else there, come what may."""
    piece = options.pop("piece", 65_536)
    limits = options.pop("limits", LIMITS)
    path = folder / "spool"
    path.unlink(missing_ok=True)
    spooled = None
    try:
        spooled = run(spool(request(body, media, piece), limits, path, **options))
        return spooled
    finally:
        assert list(folder.iterdir()) == ([path] if spooled else [])


def contents(path: Path) -> list[tuple[Entry, bytes]]:
    """Return what a spool says of every image, with its bytes."""
    with SpoolFile(path) as images:
        return [(entry, images.read(index)) for index, entry in enumerate(images.entries)]


def header(name: str, **fields: Any) -> tarfile.TarInfo:
    """Return a tar header with these fields."""
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made
