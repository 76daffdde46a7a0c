"""The intake of a job's images: every kind of upload gives the same, or an error and nothing."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from upload_helpers import (
    FILES,
    FORM,
    GZIP,
    KINDS,
    LIMITS,
    TAR,
    ZIP,
    contents,
    form,
    part,
    request,
    run,
    take,
    uploads,
    zipped,
)

from app.errors import (
    MalformedUploadError,
    NoImagesError,
    RefusedMemberError,
    TooManyImagesError,
    UnsupportedMediaTypeError,
    UploadTooLargeError,
)
from app.intake import spooling
from app.intake.folders import from_allowed_folder, open_images
from app.intake.grouping import Grouping
from app.intake.spool_writer import SpoolWriter
from app.middleware import LimitBody


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [997, 2**20])
def test_what_goes_in_comes_out(kind: str, piece: int, tmp_path: Path) -> None:
    """Law: names and bytes in order, with size and digest, wherever the network has cut."""
    body, media = uploads(FILES)[kind]
    spooled = take(tmp_path, body, media, piece=piece)
    found = contents(tmp_path / "spool")
    assert [(entry.name, content) for entry, content in found] == FILES
    for entry, content in found:
        assert entry.size == len(content)
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert (entry.group, entry.role) == ("", "normal")
    assert (spooled.images, spooled.bytes) == (5, sum(len(content) for _, content in FILES))


def test_every_route_gives_the_same(tmp_path: Path) -> None:
    """Law: multipart = zip = tar = tar.gz = folder, in names, groups, order and digests."""
    grouping = Grouping(from_folder=True)
    seen = []
    for body, media in uploads(FILES).values():
        spooled = take(tmp_path, body, media, grouping=grouping)
        seen.append((spooled.digest, contents(tmp_path / "spool")))
    assert all(one == seen[0] for one in seen)
    folder = tmp_path / "folder"
    for name, content in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    from_allowed_folder(folder, [tmp_path], LIMITS, tmp_path / "listing", grouping)
    with open_images(tmp_path / "listing", [tmp_path]) as images:
        listed = [
            (e.name, e.group, e.role, e.size, images.read(i)) for i, e in enumerate(images.entries)
        ]
    assert listed == [(e.name, e.group, e.role, e.size, content) for e, content in seen[0][1]]
    assert [group for _, group, *_ in listed] == ["lot 1", "lot 1", "lot 2", "lot 2", ""]


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/JPEG; q=1", "application/octet-stream"])
def test_raw_body_is_one_image_without_a_name(kind: str, tmp_path: Path) -> None:
    """Contract: as in scoring."""
    take(tmp_path, b"\x89PNG" * 50_000, kind, grouping=Grouping("lot"))
    ((entry, content),) = contents(tmp_path / "spool")
    assert (entry.name, entry.group, content) == ("", "lot", b"\x89PNG" * 50_000)


@pytest.mark.parametrize(
    "kind", [None, "", "application/pdf", "application/json", "application/x-7z"]
)
def test_other_types_are_refused(kind: str | None, tmp_path: Path) -> None:
    """Contract: saying what came and what would do."""
    with pytest.raises(UnsupportedMediaTypeError, match=r"send Content-Type image/\*.*zip.*tar"):
        take(tmp_path, b"x", kind)


@pytest.mark.parametrize(("kind", "least"), [("multipart", 3), ("tar", 512), ("tar.gz", 1)])
def test_body_cut_short_is_an_error(kind: str, least: int, tmp_path: Path) -> None:
    """Law: no part of an upload is a smaller upload, wherever it is cut; nothing is left.

    A tar file may lack padding after its end, a form the line's end after its last boundary.
    """
    body, media = uploads(FILES[:2])[kind]
    end = len(body.rstrip(b"\0")) // 512 * 512 + 1024 if kind == "tar" else len(body) + 1 - least
    for length in {*range(0, end, max(1, end // 150)), end - 1}:
        with pytest.raises((MalformedUploadError, NoImagesError)):
            take(tmp_path, body[:length], media)
    assert take(tmp_path, body, media).images == 2


@pytest.mark.parametrize("media", [FORM, ZIP, TAR, GZIP, "image/png"])
def test_client_that_goes_is_told_of(media: str, tmp_path: Path) -> None:
    """Contract: an upload without its end is an error, and leaves nothing."""

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    gone = Request({"type": "http", "headers": [(b"content-type", media.encode())]}, receive)
    with pytest.raises(MalformedUploadError, match="ended early"):
        run(spooling.spool(gone, LIMITS, tmp_path / "spool"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("media", [FORM, ZIP, TAR, "image/png"])
def test_cancelled_upload_leaves_nothing(media: str, tmp_path: Path) -> None:
    """Contract: when the server stops, the thread does too, and takes its file with it."""

    async def test() -> None:
        waits = asyncio.Event()

        async def receive() -> Any:
            if waits.is_set():
                await asyncio.sleep(60)
            waits.set()
            return {"type": "http.request", "body": b"x", "more_body": True}

        scope = {"type": "http", "headers": [(b"content-type", media.encode())]}
        filling = asyncio.create_task(
            spooling.spool(Request(scope, receive), LIMITS, tmp_path / "spool")
        )
        await waits.wait()
        filling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await filling
        assert not list(tmp_path.iterdir())

    run(test())


def test_unpacking_stops_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: at the next write, though all of the body has come; nothing is left."""
    entered, go, begun = threading.Event(), threading.Event(), []
    begin = SpoolWriter.begin

    def slow(writer: SpoolWriter, name: str) -> None:
        begun.append(name)
        entered.set()
        assert go.wait(30)
        begin(writer, name)

    monkeypatch.setattr(SpoolWriter, "begin", slow)

    async def test() -> None:
        coming = spooling.spool(request(zipped(FILES), ZIP), LIMITS, tmp_path / "spool")
        filling = asyncio.create_task(coming)
        assert await asyncio.to_thread(entered.wait, 30)
        filling.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await filling

    run(test())
    assert begun == [FILES[0][0]]
    assert not list(tmp_path.iterdir())


def test_zip_files_take_turns_to_unpack_but_not_to_arrive(tmp_path: Path) -> None:
    """Law: with one slot two never unpack together, and one that never arrives holds up none."""
    most, at_once, slot = [0], [0], threading.BoundedSemaphore(1)

    @contextmanager
    def unpacking() -> Iterator[None]:
        with slot:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            time.sleep(0.02)
            yield
            at_once[0] -= 1

    async def test() -> None:
        stuck, goes_on = asyncio.Event(), asyncio.Event()

        async def receive() -> Any:
            stuck.set()
            await goes_on.wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "headers": [(b"content-type", ZIP.encode())]}
        slow = asyncio.create_task(
            spooling.spool(
                Request(scope, receive), LIMITS, tmp_path / "slow", unpacking=unpacking()
            )
        )
        await stuck.wait()
        bodies = [request(zipped(FILES), ZIP) for _ in range(4)]
        spooled = await asyncio.gather(
            *(
                spooling.spool(body, LIMITS, tmp_path / str(n), unpacking=unpacking())
                for n, body in enumerate(bodies)
            )
        )
        assert [each.images for each in spooled] == [5] * 4
        goes_on.set()
        with pytest.raises(MalformedUploadError):
            await slow

    run(test())
    assert most == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_limits_name_their_setting(kind: str, tmp_path: Path) -> None:
    """Contract: as much as allowed is taken, one more is refused, whatever carries it."""

    def files(count: int, size: int) -> list[tuple[str, bytes]]:
        noise = np.random.default_rng(0)
        return [(f"{number}.png", noise.bytes(size)) for number in range(count)]

    limits = replace(LIMITS, images=3, total_bytes=3000, image_bytes=2000)
    for count, size, setting, error in (
        (4, 10, "max_job_images", TooManyImagesError),
        (1, 2001, "'0.png'.*max_image_bytes", UploadTooLargeError),
        (3, 1001, "max_job_bytes", UploadTooLargeError),
    ):
        body, media = uploads(files(count, size))[kind]
        with pytest.raises(error, match=setting):
            take(tmp_path, body, media, limits=limits)
    for count, size in ((3, 1000), (1, 2000)):
        body, media = uploads(files(count, size))[kind]
        assert take(tmp_path, body, media, limits=limits).bytes == count * size


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_refused(kind: str, tmp_path: Path) -> None:
    """Contract: an upload without images."""
    body, media = uploads([])[kind]
    with pytest.raises(NoImagesError):
        take(tmp_path, body, media)


@pytest.mark.parametrize("media", [FORM, "image/png"])
def test_archive_in_place_of_an_image_is_refused(media: str, tmp_path: Path) -> None:
    """Contract: with how to send it."""
    archive = zipped(FILES)
    with pytest.raises(RefusedMemberError, match=r"is a zip archive.*Content-Type"):
        take(tmp_path, form(part(archive)) if media == FORM else archive, media)


def test_body_may_be_larger_than_others(tmp_path: Path) -> None:
    """Contract: an upload has its own limit, and over it the answer is still the middleware's."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        limits = replace(LIMITS, body_bytes=1000)
        scope = dict(scope)  # as routing does
        try:
            found["got"] = await spooling.spool(Request(scope, receive), limits, tmp_path / "spool")
        except HTTPException as error:
            found["got"] = error

    def send(size: int, announced: int) -> Any:
        (tmp_path / "spool").unlink(missing_ok=True)
        sent = request(b"x" * size, "image/png", piece=100)
        length = (b"content-length", str(announced).encode())
        scope = {"type": "http", "headers": [*sent.scope["headers"], length]}
        run(LimitBody(app, max_bytes=10)(scope, sent.receive, sent._send))
        return found["got"]

    assert send(1000, 1000).bytes == 1000
    for size, announced in ((1001, 0), (10, 1001)):
        refused = send(size, announced)
        assert (refused.status_code, refused.detail) == (413, "the body has more than 1000 bytes")
        assert not list(tmp_path.iterdir())
