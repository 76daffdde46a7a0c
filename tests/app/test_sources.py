"""Where images come from: folders in order, and every shape of request body."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batching_helpers import run
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from app.errors import (
    MalformedUploadError,
    NoImagesError,
    ServiceError,
    TooManyImagesError,
    UndecodableImageError,
    UnsupportedMediaTypeError,
)
from app.images import sources
from app.intake.local_images import LocalImages, files_in
from detector.kinds import Kind, image

BOUNDARY = "xXx"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


async def of_images() -> Kind:
    """Say that a detector takes images."""
    return image.KIND


def part(content: bytes, name: str = "images", file: str | None = "a.png") -> bytes:
    """Return a part of a form; without a file name it is text."""
    named = "" if file is None else f'; filename="{file}"'
    return f'Content-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content


def form(*parts: bytes) -> bytes:
    """Return a form of these parts, with its closing boundary."""
    body = b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + one + b"\r\n" for one in parts)
    return body + b"--" + BOUNDARY.encode() + b"--\r\n"


def read(body: bytes, kind: str | None, *, most: int = 3, chunk: int = 10_000, **scope: Any) -> Any:
    """Return name and bytes of every image of a request that arrives in chunks."""
    headers = [] if kind is None else [(b"content-type", kind.encode())]
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]
    messages: Iterator[dict[str, object]] = iter(
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    )

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def test() -> list[tuple[str, bytes]]:
        request = Request({"type": "http", "headers": headers, **scope}, receive)
        async with sources.from_request(request, most, of_images) as upload:
            return [(image.name, await image.read()) for image in upload.images]

    return run(test())


def test_form_gives_names_and_bytes_in_order() -> None:
    """Contract: also what looks like a boundary, what is large, and what has no name or bytes."""
    contents = [b"\r\n--xX\0\xff", b"x" * 3_000_000, b""]
    named = zip(contents, ["ä\N{SNOWMAN}.png", "b.jpg", ""], strict=True)
    body = form(*(part(content, file=file) for content, file in named))
    expected = [("ä\N{SNOWMAN}.png", contents[0]), ("b.jpg", contents[1]), ("", b"")]
    assert read(body, FORM, chunk=65_536) == expected
    assert read(body, FORM, chunk=65_536, app=object()) == expected


@pytest.mark.parametrize("chunk", [1, 2, 7, 50])
def test_form_may_arrive_in_any_pieces(chunk: int) -> None:
    """Law: what is read does not depend on where the network has cut."""
    body = form(part(b"one\r\n"), part(b"two", file="b.png"))
    assert read(body, FORM, chunk=chunk) == [("a.png", b"one\r\n"), ("b.png", b"two")]


@pytest.mark.parametrize(
    "kind",
    [
        f"Multipart/Form-Data; Boundary={BOUNDARY}",
        f'multipart/form-data; charset=utf-8; boundary="{BOUNDARY}"',
        f"multipart/form-data;boundary={BOUNDARY};charset=nonsense",
        f" multipart/form-data ; boundary={BOUNDARY}",
    ],
)
def test_content_type_has_parameters_and_any_case(kind: str) -> None:
    """Contract: as HTTP has it."""
    assert read(form(part(b"one")), kind) == [("a.png", b"one")]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (form(part(b"one", name="image")), "unexpected field 'image'.*'images'"),
        (form(part(b"one"), part(b"two", name="file")), "unexpected field 'file'"),
        (form(part(b"one", file=None)), "'images' is text, not a file: with curl, images=@FILE$"),
        (form(part(b"one", "samples", None)), "'samples' is text, .*samples=@FILE$"),
        (form(part(b"one"), part(b"comment", name="comment", file=None)), "field 'comment'"),
        (form(*[part(b"text", file=None)] * 20), "Too many fields"),
        (form(part(b"x" * 1_100_000, file=None)), "maximum size"),
        (form(b"X-Other: 1\r\n\r\none"), "Content-Disposition"),
        (form(b"Content-Disposition: form-data\r\n\r\none"), "Content-Disposition"),
        (form(b"Content-Disposition\r\n\r\none"), "Invalid"),
        (form(part(b"one")).replace(BOUNDARY.encode(), b"other"), "Invalid"),
        (b"", "closing boundary"),
        (b"one", "Invalid"),
    ],
)
@pytest.mark.parametrize("scope", [{}, {"app": object()}])
def test_malformed_forms_are_refused(body: bytes, complaint: str, scope: dict[str, Any]) -> None:
    """Contract: with what is wrong, in an application as without one."""
    with pytest.raises(MalformedUploadError, match=complaint):
        read(body, FORM, **scope)


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "utf-7", "utf-16", "latin-1"])
def test_no_charset_of_a_client_counts(charset: str) -> None:
    """Contract: a name is UTF-8, else Latin-1, and can be sent back; other text is UTF-8."""
    asked = f"{FORM}; charset={charset}"
    names = [b"\\ud800.png", b"+2AA-.png", "\xe4.png".encode(), b"\xe4.png"]
    parts = [part(b"one").replace(b"a.png", name) for name in names]
    found = [name for name, _ in read(form(*parts), asked, most=4)]
    assert [name.encode() for name in found] == [*names[:3], names[2]]
    for field in ("mask", "texts"):
        body = form(part(b"one"), part(b"\xed\xa0\x80", field, None))
        with pytest.raises(MalformedUploadError, match=f"field '{field}' is no UTF-8"):
            read(body, asked)


@pytest.mark.parametrize("parameters", ["", "; boundary="])
def test_parameters_without_which_no_form_is_read(parameters: str) -> None:
    """Contract: no boundary, and an empty one."""
    with pytest.raises(MalformedUploadError, match="cannot be read"):
        read(form(part(b"one")), f"multipart/form-data{parameters}")


def test_form_that_is_cut_short_is_not_a_shorter_form() -> None:
    """Law: of a part of a form comes an error, wherever it is cut; images are never dropped."""
    body = form(part(b"one"), part(b"two"))
    whole = read(body, FORM)
    for length in range(len(body)):
        try:
            assert read(body[:length], FORM, app=object()) == whole
            assert body[length:] in {b"\n", b"\r\n"}  # what follows the closing boundary
        except MalformedUploadError:
            assert length < len(body) - 1


def test_disconnect_is_told() -> None:
    """Contract: a client that has gone gets nothing, but the server's log gets a reason."""

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def test(kind: str) -> None:
        headers = [(b"content-type", kind.encode())]
        request = Request({"type": "http", "headers": headers}, receive)
        async with sources.from_request(request, 1, of_images):
            pytest.fail("there is nothing to read")

    for kind in (FORM, "image/png"):
        with pytest.raises(MalformedUploadError, match="ended early"):
            asyncio.run(test(kind))


def test_uploaded_files_are_closed() -> None:
    """Contract: after the request, and after a refusal; else a warning fails this test."""

    async def test() -> None:
        body = form(part(b"one"))

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        headers = [(b"content-type", FORM.encode())]
        request = Request({"type": "http", "headers": headers}, receive)
        async with sources.from_request(request, 1, of_images) as upload:
            (image,) = upload.images
            assert await image.read() == b"one"
        with pytest.raises(ValueError, match="closed"):
            await image.read()

    run(test())
    for body in (
        form(part(b"one"), part(b"two"), part(b"three")),
        form(part(b"one"), part(b"two", name="other")),
        form(part(b"one"), part(b"two"))[:-9],
    ):
        with pytest.raises(ServiceError):
            read(body, FORM, most=2)
    gc.collect()


@pytest.mark.parametrize("count", [4, 5, 50])
@pytest.mark.parametrize("most", [1, 3])
def test_too_many_images_are_refused(count: int, most: int) -> None:
    """Contract: as many as allowed are taken, one more is refused."""
    assert len(read(form(*[part(b"one")] * most), FORM, most=most)) == most
    with pytest.raises(TooManyImagesError, match=f"at most {most} images"):
        read(form(*[part(b"one")] * count), FORM, most=most)
    mask = part(b"mask", name="mask")
    assert len(read(form(*[part(b"one")] * most, mask), FORM, most=most)) == most


@settings(max_examples=150)
@given(st.data())
def test_damaged_forms_fail_in_words(data: st.DataObject) -> None:
    """Contract: whatever the body, images or an expected failure."""
    body = bytearray(form(part(b"one\r\n--"), part(b"two", file=None), part(b"three")))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ServiceError):
        read(bytes(body), FORM, chunk=data.draw(st.sampled_from([3, 64, 1000])), app=object())


@pytest.mark.parametrize(
    "kind", ["image/png", "IMAGE/JPEG", "image/x-anything; q=1", "Application/Octet-Stream"]
)
def test_raw_body_is_one_image_without_a_name(kind: str) -> None:
    """Contract: the decoder looks at the bytes, not at the subtype; empty ones are its business."""
    assert read(b"\x89PNG", kind, chunk=1) == [("", b"\x89PNG")]
    assert read(b"", kind) == [("", b"")]


@pytest.mark.parametrize(
    "kind",
    [None, "", "application/pdf", "application/json", "application/x-www-form-urlencoded"],
)
def test_other_content_types_are_refused(kind: str | None) -> None:
    """Contract: saying what came and what would do."""
    with pytest.raises(UnsupportedMediaTypeError, match=r"send Content-Type image/\*") as caught:
        read(form(part(b"one")), kind)
    assert (kind or "none").split(";")[0] in str(caught.value)


def test_folder_is_listed_by_path(tmp_path: Path) -> None:
    """Contract: images at any depth, by their suffix in any case, sorted; nothing else.

    They are the same to score and, as a job's, to fit.
    """
    images = ["b.PNG", "a/2.jpg", "a/10.jpeg", "a/deep/x.tif", "c.TIFF", "d.webp", "e.bmp"]
    for name in [*images, "notes.txt", "a/list.json", "movie.gif", "png", ".jpg"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "folder.png").mkdir()
    found = [sources.from_path(path) for path in files_in(tmp_path)]
    assert [source.name for source in found] == sorted(str(tmp_path / name) for name in images)
    contents = [run(source.read()) for source in found]
    assert [content.decode() for content in contents] == [
        str(Path(source.name).relative_to(tmp_path)) for source in found
    ]
    job = LocalImages.of([tmp_path])
    assert [image.name for image in job.entries] == [source.name for source in found]
    assert [job.read(index) for index in range(len(job))] == contents
    assert files_in(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_nothing_is_refused(tmp_path: Path) -> None:
    """Contract: an empty form; a folder without images, naming the suffixes looked for."""
    with pytest.raises(NoImagesError, match="images"):
        read(form(), FORM)
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(NoImagesError, match=r"\.bmp, \.jpeg, \.jpg"):
        files_in(tmp_path)
    with pytest.raises(NoImagesError, match=r"\.bmp, \.jpeg, \.jpg"):
        LocalImages.of([tmp_path])


def test_file_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    """Contract: like bytes that cannot be decoded, and only when it is its turn."""
    gone = sources.from_path(tmp_path / "gone.png")
    with pytest.raises(UndecodableImageError, match="cannot be read: No such file"):
        run(gone.read())
    job = LocalImages.of([tmp_path / "gone.png"])
    with pytest.raises(UndecodableImageError, match="cannot be read: No such file"):
        job.read(0)
