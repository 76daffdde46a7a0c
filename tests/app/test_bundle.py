"""The file of a bundle: what was written is read; nothing else is, and it is said why not."""

import io
import json
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving_helpers import forged, manifest_of, members, signed, zipped

from app.errors import InvalidBundleError
from app.moving import bundle as bundle_module
from app.moving.bundle import MANIFEST, Bundle, BundleWriter
from app.schemas.bundles import BundledImage, BundledImages, Golden, GoldenScore

ABOUT: dict[str, Any] = {
    "gatewatch": "1.2.3",
    "name": "bolts",
    "version": 4,
    "backbone": "se-lite0",
    "backbone_fingerprint": "f" * 64,
    "weights_licence": "",
    "spec": {"name": "bolts"},
    "lineage": [{"version": 1, "reason": "Grüße"}],
}
IMAGE = BundledImage(sha256="a" * 64, name="ü/1.png", group="monday", role="fit", chunk=0, row=0)
GOLDEN = Golden(
    tolerance=1e-3, images=[GoldenScore(file="golden/00.png", made="so", score=0.1 + 0.2)]
)


def _written() -> bytes:
    file = io.BytesIO()
    writer = BundleWriter(file)
    writer.add("fit.safetensors", b"moments" * 9)
    writer.add("decision.safetensors", b"")
    writer.add("rows/000000.safetensors", bytes(range(256)))
    writer.add("images.json", BundledImages(images=[IMAGE]))
    writer.add("golden/00.png", b"\x89PNG")
    writer.add("golden.json", GOLDEN)
    writer.finish(**ABOUT)
    return file.getvalue()


WHOLE = _written()


def _read(content: bytes) -> dict[str, Any]:
    """Return all that a bundle says."""
    read = Bundle(io.BytesIO(content))
    held = {name: read.read(name) for name in read.manifest.members}
    return {"manifest": read.manifest, "images": read.images, "golden": read.golden, **held}


def _refused(content: bytes, words: str) -> None:
    with pytest.raises(InvalidBundleError, match=words):
        Bundle(io.BytesIO(content))


def test_what_was_written_is_read() -> None:
    """Law: every member, label and number comes back, to the last bit."""
    read = _read(WHOLE)
    assert read["rows/000000.safetensors"] == bytes(range(256))
    assert read["images"] == [IMAGE]
    assert read["golden"] == GOLDEN
    assert read["manifest"].model_dump(exclude={"format", "members"}) == ABOUT
    assert list(read["manifest"].members) == list(members(WHOLE))[:-1]


def test_alike_gives_alike() -> None:
    """Law: the file depends on what is in it alone, not on when it is written."""
    assert _written() == WHOLE


def test_it_is_a_zip_that_others_can_open() -> None:
    """Reference: zipfile finds every member whole, uncompressed."""
    with ZipFile(io.BytesIO(WHOLE)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {0}


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing(place: int, change: int) -> None:
    """Law: dates and system flags of the ZIP are not read; all else is covered by a check."""
    changed = bytearray(WHOLE)
    changed[place] ^= change
    try:
        read = _read(bytes(changed))
    except InvalidBundleError:
        return
    assert read == _read(WHOLE)


@given(st.integers(0, len(WHOLE) - 1))
def test_what_is_cut_short_is_refused(length: int) -> None:
    """Law: at any length."""
    _refused(WHOLE[:length], ".")


@given(st.binary(max_size=400))
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    """Law: any bytes."""
    _refused(content, ".")


@pytest.mark.parametrize("name", [name for name in members(WHOLE) if name != MANIFEST])
def test_damage_is_named(name: str) -> None:
    """Contract: a member that is not what the manifest covers is called by its name."""
    contents = members(WHOLE)
    contents[name] = contents[name][:-1] + b"?"
    _refused(zipped(contents), f"{name} is damaged")


def test_a_changed_manifest_is_refused() -> None:
    """Contract: it has a digest, too."""
    contents = members(WHOLE)
    contents[MANIFEST] = contents[MANIFEST].replace(b"bolts", b"nails")
    _refused(zipped(contents), "manifest.json is damaged")


def test_members_in_another_order_are_refused() -> None:
    """Contract: also where all digests are right."""
    contents = members(WHOLE)
    turned = {"images.json": contents.pop("images.json")} | contents
    _refused(zipped(turned), "another order")
    _refused(zipped(dict(reversed(members(WHOLE).items()))), "another order")


def test_members_that_change_places_are_refused() -> None:
    """Contract: a digest belongs to a name."""
    contents = members(WHOLE)
    one, other = "fit.safetensors", "rows/000000.safetensors"
    contents[one], contents[other] = contents[other], contents[one]
    _refused(zipped(contents), f"{one} is damaged")


@pytest.mark.parametrize("name", ["images.json", "golden.json", "fit.safetensors"])
def test_a_member_that_is_missing_is_named(name: str) -> None:
    """Contract: whether the manifest speaks of it or not."""
    contents = members(WHOLE)
    del contents[name]
    _refused(zipped(contents), "missing")
    _refused(forged(WHOLE, {name: None}), f"{name} is missing")


@pytest.mark.parametrize(
    "name",
    [
        "../fit.safetensors",
        "/etc/passwd",
        "rows/../../x.safetensors",
        "rows\\000001.safetensors",
        "C:/x.safetensors",
        "rows/000001.safetensors/",
        "rows/000001.pickle",
        "rows/\u0660\u0660\u0660\u0660\u0660\u0661.safetensors",
        "golden/00.png\n",
        "__MACOSX/fit.safetensors",
        "FIT.safetensors",
        "",
    ],
)
def test_hostile_names_are_refused(name: str) -> None:
    """Contract: there is a list of names, and no other gets anywhere."""
    _refused(forged(WHOLE, {name: b"x"}), "no member of a bundle|damaged or cut short")


def test_a_member_that_is_there_twice_is_refused() -> None:
    """Contract: nobody can check one and deliver the other."""
    file = io.BytesIO(WHOLE)
    with pytest.warns(UserWarning, match="Duplicate"), ZipFile(file, "a") as archive:
        archive.writestr(ZipInfo("fit.safetensors"), b"another")
    _refused(file.getvalue(), "there twice")


@pytest.mark.parametrize("where", ["before", "after"])
def test_bytes_that_belong_to_no_member_are_refused(where: str) -> None:
    """Contract: nothing travels along unseen."""
    more = b"MZ" + bytes(50)
    _refused(more + WHOLE if where == "before" else WHOLE + more, ".")


def test_a_comment_is_refused() -> None:
    """Contract: nor in the ZIP's own places for more."""
    file = io.BytesIO(WHOLE)
    with ZipFile(file, "a") as archive:
        archive.comment = b"hello"
    _refused(file.getvalue(), "no member")


def test_a_gap_between_members_is_refused() -> None:
    """Contract: nor between them."""
    contents = members(WHOLE)
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in contents.items():
            info = ZipInfo(name)
            info.extra = b"\xfe\xca\x04\x00hide" if name == "images.json" else b""
            archive.writestr(info, content)
    _refused(file.getvalue(), "out of place")


def test_compressed_members_are_refused() -> None:
    """Contract: so that nothing can unpack to more than was sent."""
    _refused(zipped(members(WHOLE), compress_type=ZIP_DEFLATED), "compressed")


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: by their number, and by the length of their list."""
    monkeypatch.setattr(bundle_module, "MOST_MEMBERS", 6)
    _refused(WHOLE, "more than 6 members")
    monkeypatch.setattr(bundle_module, "_LIST_BYTES", 100)
    _refused(WHOLE, "list of members")


def test_members_of_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: before they are read."""
    monkeypatch.setitem(bundle_module._MOST_BYTES, "png", 3)
    _refused(WHOLE, "golden/00.png has more than 3 bytes")


def test_another_format_says_what_to_do() -> None:
    """Contract: also when nothing else in the manifest is known here."""
    contents = members(WHOLE) | {MANIFEST: signed({"format": 2, "all": "new"})}
    _refused(zipped(contents), "format '2', this gatewatch reads 1")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "1",
        '{"images": []',
        '{"images": [], "more": 1}',
        '{"images": "many"}',
        f'{{"images": {DEEP}}}',
        json.dumps({"images": [IMAGE.model_dump() | {"row": -1}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"row": 2**31}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"sha256": "a" * 63 + "/"}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"name": "a\0b"}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"name": "\ud800"}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"name": "n" * 1001}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"group": "g" * 201}]}),
        json.dumps({"images": [IMAGE.model_dump() | {"role": "other"}]}),
    ],
    ids=lambda said: said[:30] + said[-30:],
)
def test_images_that_cannot_be_are_refused(said: str) -> None:
    """Contract: digests that fit make nothing true."""
    _refused(forged(WHOLE, {"images.json": said.encode()}), "images.json")


@pytest.mark.parametrize(
    "change",
    [
        {"tolerance": 0},
        {"tolerance": 1},
        {"tolerance": float("nan")},
        {"images": []},
        {"images": [{"file": "golden/00.png", "made": "", "score": float("inf")}]},
        {"images": [{"file": "../golden/00.png", "made": "", "score": 1.0}]},
    ],
    ids=str,
)
def test_golden_scores_that_prove_nothing_are_refused(change: dict[str, Any]) -> None:
    """Contract: there is an image, and its score is a number."""
    said = json.dumps(GOLDEN.model_dump() | change)
    _refused(forged(WHOLE, {"golden.json": said.encode()}), "golden.json")


def test_references_are_to_what_is_there() -> None:
    """Contract: no image without its rows, and no member that nothing speaks of."""
    _refused(forged(WHOLE, {"rows/000000.safetensors": None}), "rows/000000.safetensors is missing")
    _refused(forged(WHOLE, {"rows/000001.safetensors": b"x"}), "nothing refers to it")
    _refused(forged(WHOLE, {"golden/01.png": b"x"}), "nothing refers to it")


@pytest.mark.parametrize(
    "said",
    [
        {"name": "../bolts"},
        {"name": "a\0b"},
        {"version": "four"},
        {"lineage": [{"reason": "\ud800"}]},
        {"lineage": {}},
        {"more": 1},
    ],
    ids=str,
)
def test_manifests_that_cannot_be_are_refused(said: dict[str, Any]) -> None:
    """Contract: names are names, text is text."""
    _refused(forged(WHOLE, {}, **said), "manifest.json")


def test_forgery_is_what_it_is_thought_to_be() -> None:
    """Law: what the tests above change is all that they change."""
    assert _read(forged(WHOLE, {})) == _read(WHOLE)
    assert manifest_of(WHOLE)["version"] == 4
