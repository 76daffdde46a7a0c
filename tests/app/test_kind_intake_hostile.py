"""Samples of other kinds from strangers: mutated bodies fail in words, and memory is bounded."""

import base64
import contextlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_kinds import TINY, captioned
from upload_helpers import FORM, LIMITS, contents, form, part, run, take, tarred, zipped

from app.errors import MalformedUploadError, ServiceError, TooManyImagesError, UploadTooLargeError
from app.images import documents, sources
from app.images.documents import JSON_VALUES
from app.intake import matching
from detector.errors import SampleError
from detector.kinds import Kind, image

CARD, REEL, CAPTION = TINY
NDJSON = "application/x-ndjson"
NESTED = b'{"a":' * 150 + b"1" + b"}" * 150
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=9), each),
    max_leaves=20,
)
SLOWLY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextlib.contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Measure the most memory that a block takes, in bytes."""
    found = [0]
    tracemalloc.start()
    try:
        yield lambda: found[0]
    finally:
        found[0] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def test_images_have_the_suffixes_of_their_kind() -> None:
    """Contract: those of the command line, which does not load the kinds."""
    assert set(image.KIND.suffixes) == sources.SUFFIXES


@pytest.mark.parametrize("values", [b"[],", b"{},", b"0,", b"[[]],", NESTED + b","])
@pytest.mark.parametrize("kind", [CARD, None])
def test_far_too_many_values_are_refused_unparsed(
    values: bytes, kind: Kind | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: of every shape, in a document and on a line; in less memory than the body has."""
    monkeypatch.setattr(documents, "JSON_VALUES", 2**12)
    bomb = b'{"samples": [{"data": [' + values * 2**12 + b"0]}]}"
    for read in (documents.parse, documents.parse_lines):
        with traced() as peak, pytest.raises(TooManyImagesError, match="more than 4096 values"):
            read(bomb, LIMITS, kind)
        assert peak() < 2 * len(bomb)


def test_values_within_the_bound_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: of the worst shape, less than 1 KB each."""
    monkeypatch.setattr(documents, "JSON_VALUES", 2**13)
    count = 2**13 // 151 - 2
    body = b'{"samples": [{"data": [' + b",".join([NESTED] * count) + b"]}]}"
    with traced() as peak:
        assert len(documents.parse(body, LIMITS, CARD).images) == 1
    assert 2**20 < peak() < 2**23


def test_what_stands_in_strings_is_no_value() -> None:
    """Contract: logs have commas and brackets; with escapes, and a string without an end."""
    text = '{a, "b", [c]\\' * (JSON_VALUES // 4)
    body = json.dumps({"samples": [{"data": {"text": text}}]}).encode()
    (only,) = documents.parse(body, replace(LIMITS, image_bytes=2**24), CARD).images
    assert json.loads(run(only.read())) == {"text": text}
    for end in (b"", b"\\", b'\\"' * JSON_VALUES):
        documents.check_values(b'"' + b"[" * (JSON_VALUES + 1) + end)
    with pytest.raises(TooManyImagesError):
        documents.check_values(b'"\\""' + b"[" * (JSON_VALUES + 1))


@pytest.mark.parametrize("escapes", [b"\\n", b"\\\\", b'x\\"'])
def test_escapes_take_no_memory(escapes: bytes) -> None:
    """Contract: a string of nothing else is passed over in place, with an end or without."""
    bomb = b'"' + b"[" * (JSON_VALUES + 1) + escapes * 2**19
    for body in (bomb, bomb + b'"'):
        with traced() as peak:
            documents.check_values(body)
        assert peak() < 2**16


def test_whether_it_is_a_batch_takes_no_memory() -> None:
    """Contract: whatever the longest string; it is told at the first name of a field."""
    long = b'"' + b"a" * 2**22 + b'"'
    for body, is_batch in (
        (b'{"samples": [{"data": ' + long + b"}]}", True),
        (b'{"data": ' + long + b', "samples" : []}', True),
        (b'{"data": {"samples": ' + long + b"}}", False),
        (b'{"data": "samples", "x":' + long + b' "}', False),
        (b'{"data": ' + b'""' * (2 * JSON_VALUES) + b', "samples": 1}', False),
    ):
        with traced() as peak:
            assert documents.is_batch(body) is is_batch
        assert peak() < 2**16


@given(VALUES | st.dictionaries(st.sampled_from(["images", "samples", '"samples"', "x"]), VALUES))
def test_a_batch_is_an_object_with_a_field_of_samples(value: Any) -> None:
    """Law: against a naive twin that parses it, however it is laid out."""
    expected = isinstance(value, dict) and not value.keys().isdisjoint({"images", "samples"})
    for layout in ({}, {"indent": 2}, {"separators": (" ,\n", "\t: ")}):
        assert documents.is_batch(json.dumps(value, **layout).encode()) is expected


@given(VALUES)
def test_any_value_comes_as_it_was_sent(value: Any) -> None:
    """Law: a sample in a batch and on a line is the value that was sent; alone its bytes."""
    if isinstance(value, dict | list):
        item = json.dumps({"name": "a", "data": value}).encode()
        for read, body in (
            (documents.parse, b'{"samples": [' + item + b"]}"),
            (documents.parse_lines, item),
        ):
            try:
                (only,) = read(body, LIMITS, CARD).images
            except RequestValidationError:  # half of a pair of surrogates
                assert "\\ud" in item.decode()
                continue
            text = run(only.read()).decode()
            assert json.dumps(json.loads(text)) == json.dumps(value)
            assert "\n" not in text
    body = json.dumps(value, indent=1).encode()
    if not (isinstance(value, dict) and {"images", "samples"} & value.keys()):
        upload = documents.parse(body, LIMITS, CARD)
        assert upload.alone
        assert [run(each.read()) for each in upload.images] == [body]


def mutated(data: st.DataObject, body: bytes) -> bytes:
    """Return a body with some bytes changed, removed or said again."""
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(changed) - 1)))
        size = data.draw(st.integers(0, 9))
        changed[at : at + size] = data.draw(
            st.binary(max_size=9) | st.sampled_from([b"", b"[[[[", b'"', b"\\", b"\n", body[at:]])
        )
    return bytes(changed)


BATCH = json.dumps(
    {"samples": [{"name": "a", "data": {"nodes": [1, {"x": None}]}}, {"data": "QUJD"}]}
).encode()
LINES = b'{"name": "a", "group": "x", "data": {"n": [1]}}\n\n{"data": "QUJD"}\n'
EXPECTED = (ServiceError, RequestValidationError, SampleError)


@settings(max_examples=150)
@given(st.data(), st.sampled_from([CARD, image.KIND, None]))
def test_mutated_documents_fail_in_words(data: st.DataObject, kind: Kind | None) -> None:
    """Contract: samples, or an expected failure, whatever the kind."""
    for read, body in ((documents.parse, BATCH), (documents.parse_lines, LINES)):
        with contextlib.suppress(*EXPECTED):
            for each in read(mutated(data, body), LIMITS, kind).images:
                run(each.read())


FILES = [("x/a.png", b"one"), ("x/b.png", b"two"), ("x/b.txt", b"B"), ("x/a.txt", b"A")]
TEXTS = [part(text, field="texts", file=None) for text in (b"A", b"B")]
JOBS = {
    "zip": (zipped(FILES), "application/zip"),
    "tar": (tarred(FILES), "application/x-tar"),
    "texts": (form(part(b"one"), *TEXTS, part(b"two")), FORM),
    "lines": (LINES, NDJSON),
}


@pytest.mark.parametrize("way", JOBS)
@pytest.mark.parametrize("kind", [CAPTION, REEL])
@SLOWLY
@given(data=st.data())
def test_mutated_jobs_fail_in_words(
    data: st.DataObject, way: str, kind: Kind, tmp_path: Path
) -> None:
    """Contract: a spool that can be read, or an expected failure and nothing left on the disk."""
    body, media = JOBS[way]
    with contextlib.suppress(*EXPECTED):
        take(tmp_path, mutated(data, body), media, kind=kind)
        contents(tmp_path / "spool")


def test_pairs_keep_to_the_limits(tmp_path: Path) -> None:
    """Contract: samples are counted, not files; bytes of both, and as what they become."""
    spooled = partial(take, tmp_path, kind=CAPTION)
    sized: dict[str, Any] = {
        "total_bytes": 10**4,
        "image_bytes": 10**4,
        "ratio": 9,
        "body_bytes": 10**5,
    }
    for way in ("zip", "tar", "texts"):
        body, media = JOBS[way]
        two = spooled(body, media, limits=type(LIMITS)(images=2, **sized))
        assert two.images == 2
        found = [content for _, content in contents(two.path)]
        assert found == [captioned(b"one", "A"), captioned(b"two", "B")]
        with pytest.raises(TooManyImagesError):
            spooled(body, media, limits=type(LIMITS)(images=1, **sized))
        for bound in ("total_bytes", "image_bytes"):
            few = type(LIMITS)(images=2, **sized | {bound: len(found[0]) - 1})
            with pytest.raises(UploadTooLargeError):
                spooled(body, media, limits=few)


def test_a_line_may_be_as_long_as_a_sample_needs(tmp_path: Path) -> None:
    """Contract: base64 of the largest sample goes through; a line without an end does not."""
    limits = type(LIMITS)(images=2, total_bytes=2**20, image_bytes=2**19, ratio=9, body_bytes=2**30)
    largest = base64.b64encode(bytes(limits.image_bytes))
    body = b'{"data": "' + largest + b'"}'
    assert take(tmp_path, body, NDJSON, kind=CARD, limits=limits).bytes == 2**19
    endless = (b'{"data": "' if at == 0 else b"A" * 2**16 for at in range(10**6))
    with pytest.raises(UploadTooLargeError, match="line 1 has more"):
        take(tmp_path, endless, NDJSON, kind=CARD, limits=limits)
    with pytest.raises(TooManyImagesError):
        take(tmp_path, b'{"data": {}}\n' * 3, NDJSON, kind=CARD, limits=limits)
    with pytest.raises(MalformedUploadError, match="line 2"):
        take(tmp_path, b'{"data": {}}\n{"data": "#"}', NDJSON, kind=CARD, limits=limits)


@given(st.lists(st.sampled_from("ab"), max_size=6), st.data())
def test_names_match_at_most_once(stems: list[str], data: st.DataObject) -> None:
    """Law: against a naive twin; a file and a text have the stem, and nothing else has."""
    suffixes = st.sampled_from([".png", ".txt", ".TXT", "", ".", "/x"])
    names = [stem + data.draw(suffixes) for stem in stems]
    found = matching.by_name(names)
    for stem in "ab":
        alike = [at for at, name in enumerate(names) if "." in name and name[0] == stem]
        texts = [at for at in alike if matching.is_text(names[at])]
        if len(alike) == 2 and len(texts) == 1:
            (text,) = texts
            assert found.pop(sum(alike) - text) == text
    assert not found
