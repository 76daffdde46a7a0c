"""Files and texts that are one sample: which belong together, and what is too much."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_kinds import TINY, captioned
from upload_helpers import FORM, LIMITS, contents, form, part, request, run, take, tarred, zipped

from app.errors import (
    MalformedUploadError,
    RefusedMemberError,
    TooManyImagesError,
    UndecodableImageError,
)
from app.images import sources
from app.intake import local_images, matching
from app.intake.folders import from_allowed_folder, open_images
from app.intake.grouping import Grouping
from app.intake.local_images import LocalImages
from detector import kinds
from detector.errors import SampleError, SampleTooLargeError
from detector.kinds import Kind
from gatewatch.folders import Looked, texts_in

CAPTION = TINY[-1]
TEXT = b"x" * matching.TEXT_BYTES


class Small(type(CAPTION)):  # type: ignore[misc]
    """Pairs of a small file."""

    limits: ClassVar = {"bytes": 9}

    def pair(self, file: bytes, text: str) -> bytes:
        assert len(file) <= 9
        assert len(text) <= matching.TEXT_BYTES
        return captioned(file, text[:9])


SMALL = Small()


def scored(body: bytes, kind: Kind | None = CAPTION, most: int = 3) -> list[tuple[str, Any]]:
    """Return name and bytes, or the error, of every sample of a form that is scored."""

    async def of_it() -> Kind | None:
        return kind

    async def read() -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        async with sources.from_request(request(body, FORM), most, of_it) as upload:
            for each in upload.images:
                try:
                    found.append((each.name, await each.read()))
                except SampleError as error:
                    found.append((each.name, error))
        return found

    return run(read())


def test_known_anomalies_are_paired_among_themselves(tmp_path: Path) -> None:
    """Contract: the same names as the normal ones', and their texts are another's in no case."""
    files = [
        ("images", "a.png"),
        ("anomalies", "a.png"),
        ("images", "a.txt"),
        ("anomalies", "a.txt"),
    ]
    body = form(*(part(b"%d" % at, field, file) for at, (field, file) in enumerate(files)))
    spooled = take(tmp_path, body, FORM, kind=CAPTION, anomalies=True)
    found = [(entry.role, entry.name, content) for entry, content in contents(spooled.path)]
    assert found == [
        ("normal", "a.png", captioned(b"0", "2")),
        ("anomaly", "a.png", captioned(b"1", "3")),
    ]
    mixed = form(part(b"0", file="a.png"), part(b"3", "anomalies", "a.txt"))
    assert take(tmp_path, mixed, FORM, kind=CAPTION, anomalies=True).images == 2


def test_a_pair_counts_once_in_a_request() -> None:
    """Contract: as many samples as are allowed, each of two files; not one more, of whatever."""

    def pairs(count: int) -> list[bytes]:
        names = [f"{at}.{suffix}" for at in range(count) for suffix in ("png", "txt")]
        return [part(b"x", file=name) for name in names]

    assert [name for name, _ in scored(form(*pairs(3)))] == ["0.png", "1.png", "2.png"]
    mask = part(b"m", "mask", "m.png")
    assert len(scored(form(*pairs(3), mask))) == 3
    for more in (pairs(4), [*pairs(3), part(b"x", file="b.png")]):
        with pytest.raises(TooManyImagesError, match="at most 3"):
            scored(form(*more))
    for kind in (None, kinds.KINDS["image"]):
        with pytest.raises(TooManyImagesError, match="at most 3"):
            scored(form(*pairs(2)), kind)


@pytest.mark.parametrize(
    ("file", "text"), [(b"x" * 10, b"a"), (b"x", TEXT + b"a"), (b"x", b"\xed\xa0\x80")]
)
def test_halves_that_cannot_be_one_never_are(
    file: bytes, text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: refused by size or as no UTF-8, before the kind sees them; in words."""
    monkeypatch.setitem(kinds.KINDS, SMALL.name, SMALL)
    named = [("a.png", file), ("a.txt", text), ("b.png", b"x" * 9), ("b.txt", b"b")]
    first, (_, second) = scored(form(*(part(c, file=n) for n, c in named)), SMALL)
    assert isinstance(first[1], SampleTooLargeError | UndecodableImageError)
    assert second == captioned(b"x" * 9, "b")
    limits = replace(LIMITS, image_bytes=2**22, total_bytes=2**23, ratio=10**4)
    for body, media in ((zipped(named), "application/zip"), (tarred(named), "application/x-tar")):
        with pytest.raises(RefusedMemberError, match=r"a\.(png|txt)"):
            take(tmp_path, body, media, kind=SMALL, limits=limits)
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in named:
        (folder / name).write_bytes(content)
    listing = tmp_path / "listing"
    from_allowed_folder(folder, [tmp_path], limits, listing, Grouping(), SMALL)
    with open_images(listing, [tmp_path]) as listed:
        for images in (LocalImages.of([folder], kind=SMALL), listed):
            assert [entry.name.rpartition("/")[2] for entry in images.entries] == ["a.png", "b.png"]
            with pytest.raises((SampleTooLargeError, UndecodableImageError)):
                images.read(0)
            assert images.read(1) == captioned(b"x" * 9, "b")


def test_the_largest_halves_are_one() -> None:
    """Contract: at the limits, by name and by order."""
    body = form(part(b"x" * 9, file="a.png"), part(TEXT, file="a.txt"))
    assert scored(body, SMALL) == [("a.png", captioned(b"x" * 9, "x" * 9))]
    text = part("\N{SNOWMAN}".encode(), "texts", None)
    assert scored(form(part(b"x"), text), SMALL) == [("a.png", captioned(b"x", "\N{SNOWMAN}"))]
    with pytest.raises(MalformedUploadError, match="maximum size"):
        scored(form(part(b"x"), part(TEXT + b"x", "texts", None)), SMALL)


NAMES = st.builds(
    "{}{}".format,
    st.sampled_from(["a", "b", "x/a"]),
    st.sampled_from([".png", ".jpg", ".txt", ".TXT", ".PNG", ".bin"]),
)


@given(st.sets(NAMES))
def test_one_rule_everywhere(tmp_path_factory: Any, names: set[str]) -> None:
    """Law: here, in a folder of the server and in the client as ``by_name`` has it."""
    folder = tmp_path_factory.mktemp("pairs")
    taken = sorted(name for name in names if not name.endswith(".bin"))
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    expected = {taken[file]: taken[text] for file, text in matching.by_name(taken).items()}
    files = [folder / name for name in taken if not matching.is_text(name)]
    suffixes = frozenset(CAPTION.suffixes)
    here = local_images.texts_beside(files, suffixes)
    assert {
        str(a.relative_to(folder)): str(b.relative_to(folder)) for a, b in here.items()
    } == expected
    alone = [local_images.texts_beside([file], suffixes).get(file) for file in files]
    assert alone == [here.get(file) for file in files]
    assert texts_in(folder, Looked(suffixes, paired=True)) == expected
    assert texts_in(folder, Looked(suffixes)) == {}
