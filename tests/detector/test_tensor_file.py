"""Files of header and tensors: what is read is what was packed, and damage is never read."""

import json
import pickle
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_helpers import bits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load, save

from detector.errors import ArtefactError
from detector.tensor_file import pack, unpack

HEADER = {"said": [1, "é"], "rate": 0.1}
TENSORS = {"a": np.array([0.0, 1.0, 2.0]), "b": np.zeros((2, 2), np.uint8), "c": np.zeros((0, 3))}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
HEADERS = st.dictionaries(
    st.text().filter(lambda key: key not in ("kind", "format", "sha256")), JSON, max_size=4
)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
ANY_ARRAY = arrays.arrays(
    st.sampled_from([np.float64, np.float32, np.uint8, np.uint64, np.int64]), SHAPES
)
NAMES = st.text(st.characters(exclude_categories=("C",)), max_size=9)


def packed() -> bytes:
    """Return a small file of ours."""
    return pack("fit", 3, HEADER, TENSORS)


def read(content: bytes) -> Any:
    """Return what a file says, comparable to the bit."""
    header, tensors = unpack("fit", 3, content)
    return header, bits(dict(sorted(tensors.items())))


@given(header=HEADERS, tensors=st.dictionaries(NAMES, ANY_ARRAY, max_size=4))
def test_what_is_read_is_what_was_packed(
    header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> None:
    """Law: types, shapes, bits and the header's order; empty tensors, and none at all, too."""
    tensors = {name: each for name, each in tensors.items() if name != "__metadata__"}

    content = pack("rows", 7, header, tensors)
    said, found = unpack("rows", 7, content)

    assert list(said.items()) == [("kind", "rows"), ("format", 7), *header.items()]
    assert bits(dict(sorted(found.items()))) == bits(dict(sorted(tensors.items())))
    assert pack("rows", 7, header, tensors) == content


EVERY_TYPE = [
    *(np.bool_, np.uint8, np.int8, np.int16, np.uint16, np.float16),
    *(np.int32, np.uint32, np.float32, np.float64, np.int64, np.uint64),
]


@given(st.dictionaries(NAMES, arrays.arrays(st.sampled_from(EVERY_TYPE), SHAPES), max_size=5))
def test_files_are_those_of_safetensors(tensors: Mapping[str, np.ndarray]) -> None:
    """Reference: every byte, of every type of numbers, is as the package lays it out."""
    tensors = {name: each for name, each in tensors.items() if name != "__metadata__"}
    content = pack("rows", 7, HEADER, tensors)
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]

    assert content == save(dict(tensors), metadata=metadata)


def test_order_in_memory_does_not_matter() -> None:
    """Law: transposed, strided and reversed views are packed by their values."""
    base = np.arange(24, dtype=np.float64).reshape(4, 6)
    for view in (base.T, base[::2, ::3], base[::-1]):
        _, found = unpack("fit", 3, pack("fit", 3, {}, {"x": view}))
        np.testing.assert_array_equal(found["x"], view)
        assert pack("fit", 3, {}, {"x": view}) == pack("fit", 3, {}, {"x": view.copy()})


def test_every_truncated_file_is_refused() -> None:
    """Contract: at every length, the empty file included."""
    content = packed()
    for length in range(len(content)):
        with pytest.raises(ArtefactError):
            unpack("fit", 3, content[:length])


def test_a_file_with_something_behind_or_before_it_is_refused() -> None:
    """Contract: no more than was written."""
    for content in (packed() + b"\0", packed() * 2, b"\0" + packed(), packed()[1:]):
        with pytest.raises(ArtefactError):
            unpack("fit", 3, content)


def test_no_byte_can_be_another_unnoticed() -> None:
    """Contract: every byte, replaced by every other: refused, or JSON that says the same.

    The same say only other blanks of JSON, and capital letters where it escapes a character.
    """
    content, said, accepted = bytearray(packed()), read(packed()), set()
    for offset, original in enumerate(content):
        for other in set(range(256)) - {original}:
            content[offset] = other
            try:
                found = read(bytes(content))
            except ArtefactError:
                continue
            assert found == said, (offset, original, other)
            accepted.add((chr(original), chr(other)))
        content[offset] = original
    assert accepted <= {*((" ", blank) for blank in "\t\n\r"), ("e", "E")}


def test_the_digest_is_named_where_values_are_damaged() -> None:
    """Contract: a flipped bit of a tensor reads as damage, not as another program's file."""
    content = bytearray(packed())
    for offset in range(len(content) - 28, len(content)):  # three of float64, four of uint8
        content[offset] ^= 1
        with pytest.raises(ArtefactError, match="damaged: its digest"):
            unpack("fit", 3, bytes(content))
        content[offset] ^= 1


def outer_metadata(content: bytes) -> dict[str, str]:
    """Return the texts beside the tensors, as any program that knows safetensors reads them."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


RESHAPED: dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
    "another type": lambda t: t | {"a": t["a"].view(np.int64)},
    "another shape": lambda t: t | {"b": t["b"].reshape(4)},
    "another empty shape": lambda t: t | {"c": np.zeros((3, 0))},
    "an empty tensor less": lambda t: {name: t[name] for name in "ab"},
    "an empty tensor more": lambda t: t | {"d": np.zeros(0)},
    "names exchanged": lambda t: t | {"b": t["c"], "c": t["b"]},
    "a tensor in two": lambda t: t | {"a": t["a"][:1], "aa": t["a"][1:]},
}


@pytest.mark.parametrize("change", list(RESHAPED))
def test_the_same_bytes_seen_otherwise_are_damage(change: str) -> None:
    """Contract: names, types and shapes are digested, not bytes alone; nothing changed is none."""
    metadata = outer_metadata(packed())
    assert read(save(load(packed()), metadata)) == read(packed())
    with pytest.raises(ArtefactError, match="damaged: its digest"):
        unpack("fit", 3, save(RESHAPED[change](load(packed())), metadata))


@pytest.mark.parametrize(
    ("kind", "number", "words"),
    [
        ("decision", 3, "this is 'fit' of format 3, needed is 'decision' of format 3"),
        ("fit", 2, "this is 'fit' of format 3, needed is 'fit' of format 2"),
        ("fit", 4, "this is 'fit' of format 3, needed is 'fit' of format 4: it was written by"),
    ],
)
def test_another_kind_or_format_is_refused_by_its_name(kind: str, number: int, words: str) -> None:
    """Contract: who mixes up files, or kept an older one, learns which is which."""
    with pytest.raises(ArtefactError, match=words):
        unpack(kind, number, packed())


@pytest.mark.parametrize("metadata", [None, {"made by": "another program"}])
def test_safetensors_of_another_program_are_refused(metadata: dict[str, str] | None) -> None:
    """Contract: a file of weights is none of ours."""
    with pytest.raises(ArtefactError, match="not a readable file of gatewatch"):
        unpack("fit", 3, save({"weight": np.zeros((3, 3))}, metadata))


@pytest.mark.parametrize(
    "text", ["", "{", "nan?", "[]", "{}", "1", "null", '"text"', "\x00", "[" * 100_000]
)
def test_a_header_that_is_no_json_object_of_ours_is_refused(text: str) -> None:
    """Contract: as any other damage."""
    with pytest.raises(ArtefactError):
        unpack("fit", 3, save({"x": np.zeros(1)}, {"gatewatch": text}))


OUR_OWN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "said": lambda h: h | {"said": [2, "é"]},
    "more": lambda h: h | {"more": None},
    "less": lambda h: {key: each for key, each in h.items() if key != "rate"},
    "order": lambda h: dict(reversed(h.items())),
    "digest": lambda h: h | {"sha256": "0" * 64},
    **{
        f"no {key}": lambda h, key=key: {k: v for k, v in h.items() if k != key}  # type: ignore[misc]
        for key in ("kind", "format", "sha256")
    },
}


@pytest.mark.parametrize("change", list(OUR_OWN))
def test_a_header_that_was_changed_is_refused(change: str) -> None:
    """Contract: what the header says is digested, and so is its order."""
    header = json.loads(outer_metadata(packed())["gatewatch"])
    changed = {"gatewatch": json.dumps(OUR_OWN[change](header))}
    with pytest.raises(ArtefactError):
        unpack("fit", 3, save(load(packed()), changed))


@pytest.mark.parametrize(
    "start", ["", "[]", "1", "null", '{"__metadata__": 1}', '{"__metadata__": {"gatewatch": 1}}']
)
def test_a_file_that_begins_with_other_json_is_refused(start: str) -> None:
    """Contract: the outer header is as little to be trusted."""
    with pytest.raises(ArtefactError):
        unpack("fit", 3, len(start).to_bytes(8, "little") + start.encode())


@given(content=st.binary(max_size=64))
def test_random_bytes_are_refused(content: bytes) -> None:
    """Contract: by an error of ours, whatever length they claim."""
    with pytest.raises(ArtefactError):
        unpack("fit", 3, content)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    """Contract: code in a file stays data."""
    ran, array = tmp_path / "ran", BytesIO()

    class Harmful:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
            return Path.touch, (ran,)

    np.save(array, np.array([Harmful()], dtype=object), allow_pickle=True)
    for content in (pickle.dumps(Harmful()), pickle.dumps({"gatewatch": 1}), array.getvalue()):
        with pytest.raises(ArtefactError):
            unpack("fit", 3, content)

    assert not ran.exists()
