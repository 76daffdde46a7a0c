"""Strangers' bytes as sequences: what is refused, why, and that nothing else ever happens."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import (
    SampleError,
    SampleTooLargeError,
    UndecodableSampleError,
    UnsupportedSampleError,
)
from detector.kinds.learned import learn, read
from detector.kinds.parsing.vocabulary_bounds import CHARACTERS, LONGEST_WORD
from detector.kinds.sequence import BYTES, KIND, LINE, TOKEN, SequenceKind, SequenceSample
from models.plan import Plan

VIEW = KIND.view({})
LINES = KIND.view({"unit": "lines", "longest": 4})
GOOD = b"2005-06-03 12:00:01 node R02-M1-N0 RAS KERNEL INFO parity error corrected\n" * 3


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (b'{"tokens": ["A b", "", "A b"]}', ("A b", "", "A b")),
        (b' ["a"]\n', ("a",)),
        (b'\xef\xbb\xbf["a"]', ("a",)),
        ('["Käse","\\ud83d\\ude00"]'.encode(), ("Käse", "😀")),
        (b"Link DOWN\r\n\r\nlink up", ("link", "down", "link", "up")),
        (b"caf\xe9 au lait", ("caf", "au", "lait")),
        (b"[error] disk full", ("error", "disk", "full")),
        (b'{"level": 1}\n{"level": 2}', ("level", "<num>", "level", "<num>")),
        (b'{"level": "info", "words": ["Up"]}\n', ("level", "info", "words", "up")),
        (b'["a"] x\n["b"] y\n', ("a", "x", "b", "y")),
        (b'["Up", 12, null]', ("up", "<num>", "null")),
        (b"[12]\n", ("<num>",)),
        (b'"a"', ("a",)),
        (b"[" + b"1" * 10_000 + b"]", ("<num>",)),  # more digits than Python reads: a line of text
    ],
)
def test_tokens_are_read(content: bytes, tokens: tuple[str, ...]) -> None:
    """Reference: by hand, of JSON as it is, of text by words."""
    assert KIND.decode(content, VIEW).tokens == tokens


def test_lines_can_be_tokens() -> None:
    """Reference: a line's template is one token, cut at the limit."""
    sample = KIND.decode(b"\nunit 7 ok\n\nunit 8 ok\n", LINES)
    assert sample.tokens == ("unit <num> ok",) * 2
    assert sample.lines == ("unit 7 ok", "unit 8 ok")
    assert [(span.line, span.start, span.end) for span in sample.spans] == [(0, 0, 9), (1, 0, 9)]
    assert len(KIND.decode(b"abcde " * 1000, LINES).tokens[0]) == TOKEN


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", UndecodableSampleError, "empty"),
        (b" \r\n\t\n", UndecodableSampleError, "empty"),
        (b"... --- !!!", UndecodableSampleError, "empty"),
        (b"[]", UndecodableSampleError, "empty"),
        (b'{"tokens": []}', UndecodableSampleError, "empty"),
        (b"{}", UndecodableSampleError, "empty"),
        (b"[[[]]]", UndecodableSampleError, "empty"),
        (b'{"tokens": "a"}', UndecodableSampleError, '"tokens" must be a list'),
        (b'{"tokens": 512, "message": "done"}', UndecodableSampleError, '"tokens" must be a list'),
        (b'{"tokens": ["a", 1]}', UndecodableSampleError, "number 1 is int"),
        (b'{"tokens": ["a", null]}', UndecodableSampleError, "number 1 is NoneType"),
        (b'["a", "\\ud800"]', UndecodableSampleError, "token 1 holds a NUL or half a character"),
        (b'["\\u0000"]', UndecodableSampleError, "token 0 holds a NUL"),
        (b'{"tokens": ["a", "b"', UndecodableSampleError, "JSON cannot be read"),
        (b'["a",', UndecodableSampleError, "JSON cannot be read"),
        (b'["a", "b', UndecodableSampleError, "JSON cannot be read"),
        (b"[" * 500_000, SampleTooLargeError, "a line has at most"),
        (b'{"tokens":' * 100_000, UndecodableSampleError, "JSON cannot be read"),
        (b"\x89PNG\r\n\x1a\n\0\0", UnsupportedSampleError, "binary data"),
        ("text".encode("utf-16"), UnsupportedSampleError, "no text in UTF-8"),
        (b"a" * (BYTES + 1), SampleTooLargeError, "at most 1048576 bytes"),
        (b"a" * (LINE + 1), SampleTooLargeError, "a line has at most"),
        (b"a " * 1025, SampleTooLargeError, "1024 tokens at most"),
        (b"a\n" * 500_000, SampleTooLargeError, "1024 tokens at most"),
        (json.dumps(["a"] * 1025).encode(), SampleTooLargeError, "1024 tokens at most, got 1025"),
        (json.dumps(["a" * (TOKEN + 1)]).encode(), SampleTooLargeError, "at most 1000 characters"),
    ],
)
def test_other_bytes_are_refused(content: bytes, error: type[SampleError], message: str) -> None:
    """Contract: the error of its kind, and what to do."""
    with pytest.raises(error, match=message):
        KIND.decode(content, VIEW)


def _only_sample_errors(content: bytes) -> None:
    for view in (VIEW, LINES):
        try:
            sample = KIND.decode(content, view)
        except SampleError:
            continue
        assert 1 <= len(sample.tokens) <= view.longest
        "".join(sample.tokens).encode()  # no half characters
        assert len(sample.spans) in (0, len(sample.tokens))
        for span in sample.spans:
            assert 0 <= span.start < span.end <= len(sample.lines[span.line])


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Law: a sample within the limits, or an error of a sample."""
    _only_sample_errors(content)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Law: the same of texts."""
    _only_sample_errors(text.encode("utf-8", errors="surrogatepass"))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(json_values | json_values.map(lambda value: {"tokens": value}))
def test_any_json(value: object) -> None:
    """Law: the same of JSON values."""
    _only_sample_errors(json.dumps(value).encode())


@given(st.data(), st.sampled_from([GOOD, b'{"tokens": ["open", "close", "\\u00e4"]}']))
def test_damaged_samples(data: st.DataObject, good: bytes) -> None:
    """Law: the same of a sample with some bytes changed, or cut."""
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _only_sample_errors(bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_words_of_text_are_cut() -> None:
    """Contract: 100 characters of a word are its token, also where lower case has more of them."""
    sample = KIND.decode(("\u0130" * 16_000 + " end").encode(), VIEW)
    assert [len(token) for token in sample.tokens] == [LONGEST_WORD, 3]
    assert (sample.spans[0].start, sample.spans[0].end) == (0, 16_000)


def test_vocabulary_of_long_tokens_makes_a_file() -> None:
    """Contract: whatever the tokens are, the network's file can be written, and read again."""

    class Quick(SequenceKind):
        plan = Plan(steps=1, rounds=1)

    view = KIND.view({"vocabulary": 8000})
    words = [f"{number:04}" + "\U0001f600" * 996 for number in range(8000)]
    samples = [SequenceSample(tuple(words[start : start + 1000])) for start in range(0, 8000, 1000)]
    settings = KIND.settings([*samples, *samples], view)
    assert settings["tokens"] == words[: CHARACTERS // 1000]
    assert len(settings["known"]) == 1001
    few = [SequenceSample(sample.tokens[:50]) for sample in samples]
    learned = learn(Quick(), [*samples, *samples, *few], view)
    assert read(Quick(), learned.to_bytes()).fingerprint == learned.fingerprint
