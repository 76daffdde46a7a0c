"""Words and placeholders of log lines, and the picture that highlights them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.kinds.parsing import log_lines
from detector.kinds.parsing.log_lines import Span
from detector.kinds.pictures import log_picture
from detector.kinds.pictures.painting import RED
from detector.kinds.sequence import KIND

VIEW = KIND.view({})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2005-06-03-15.42.50.675872 up", "<time> up"),
        ("2024-01-02T03:04:05.678Z up", "<time> up"),
        ("2024-01-02 03:04:05,678 up", "<time> up"),
        ("[12:04:59] up", "<time> up"),
        ("from 10.0.0.1:80, to fe80::1:2", "from <ip> to <ip>"),
        ("id=123e4567-e89b-12d3-a456-426614174000", "id <uuid>"),
        ('t=12:04:59 (core.7) "a b"', "t <time> core <num> a b"),
        ("123e4567-e89b-12d3-a456-426614174000 gone", "<uuid> gone"),
        ("open /var/log/x.1 failed", "open <path> failed"),
        (r"open C:\x\y failed", "open <path> failed"),
        ("read/write ok", "read write ok"),
        ("R02-M1-N0-C:J12-U11 RAS", "<id> ras"),
        ("at 0x1f, 00544eb8 and 12345678", "at <hex> and <num>"),
        ("core.2275 took 15ms in L3", "core <num> took <num> in <id>"),
        ("blk_-160899", "blk <num>"),
        ("1 2 3 go", "<num> go"),
        ("Über größe", "über größe"),
        ("!!", ""),
    ],
)
def test_words_of_lines(line: str, words: str) -> None:
    """Reference: by hand."""
    found = log_lines.words(line)
    assert " ".join(token for token, _ in found) == words


def test_letters_may_keep_their_case() -> None:
    """Contract: ``lower``."""
    assert [token for token, _ in log_lines.words("Link UP", lower=False)] == ["Link", "UP"]


@given(st.text(st.sampled_from("aZ0f9.:/-_\\<>[]xX T\t,é"), max_size=60))
def test_tokens_stand_where_they_say(line: str) -> None:
    """Law: in order, within the line, apart; a word is what stands there; no blanks in tokens."""
    end = 0
    for token, span in log_lines.words(line, 3, lower=False):
        assert span.line == 3
        assert end <= span.start < span.end <= len(line)
        end = span.end
        if token[0] != "<":
            assert line[span.start : span.end] == token
        assert " " not in token


def test_long_pieces_take_no_time() -> None:
    """Contract: no pattern goes back and forth over a long piece, which would take hours."""
    for piece in ("1.", "a:", "0-", "/", "f", "1", ":", "12:34", "a1-", "\\/"):
        log_lines.words(piece * 8000)
        log_lines.words(piece * 8000 + "!")


def test_picture_highlights_the_odd_token() -> None:
    """Contract: red where the share is, paper elsewhere; as wide as others' pictures."""
    sample = KIND.decode(b"link up\nlink down\n", VIEW)
    located = KIND.locate(sample, VIEW, {"a": np.array([0.0, 0, 0, 8]), "b": np.zeros(4)})
    picture = KIND.picture(sample, VIEW, located, 4.0)
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * log_picture.MARGIN_PX + 2 * log_picture.ROW_PX, 960, 3)
    odd = (picture[:, :, 0].astype(int) - picture[:, :, 1]) > 100
    middle = log_picture.MARGIN_PX + log_picture.ROW_PX
    assert odd[middle:].any()
    assert not odd[:middle].any()
    assert RED[0] > RED[1]
    plain = KIND.picture(sample, VIEW, located, 1e9)
    assert not ((plain[:, :, 0].astype(int) - plain[:, :, 1]) > 100).any()


def test_picture_of_long_text_shows_the_odd_part() -> None:
    """Contract: bounded in height, and the odd line is in it."""
    sample = KIND.decode(b"all is well here\n" * 200 + b"panic\n" + b"all is well\n" * 5, VIEW)
    shares = np.array([5.0 if token == "panic" else 0.0 for token in sample.tokens])
    picture = KIND.picture(sample, VIEW, KIND.locate(sample, VIEW, {"a": shares}), 1.0)
    assert picture.shape[0] <= 2 * log_picture.MARGIN_PX + 40 * log_picture.ROW_PX
    assert ((picture[:, :, 0].astype(int) - picture[:, :, 1]) > 100).any()


@pytest.mark.parametrize("threshold", [None, 1.0])
def test_picture_of_any_tokens(threshold: float | None) -> None:
    """Contract: empty, very long, unprintable and foreign tokens, negative shares."""
    sample = KIND.decode(
        '["", "a\\nb", "日本", "\\u0007", "{}"]'.replace("{}", "W" * 1000).encode(), VIEW
    )
    located = KIND.locate(sample, VIEW, {"a": np.array([1.0, -2, 0, 3, 4])})
    picture = KIND.picture(sample, VIEW, located, threshold)
    assert picture.shape[1:] == (960, 3)


def test_joined_tokens_stand_in_their_line() -> None:
    """Reference: by hand."""
    assert log_picture.joined(["ab", "", "c"]) == (
        ("ab  c",),
        (Span(0, 0, 2), Span(0, 3, 3), Span(0, 4, 5)),
    )


def test_picture_measures_little_of_long_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: 100 characters of a token are drawn and measured, each character once."""
    measured: list[str] = []
    font = log_picture._font()

    class Counted:
        def getlength(self, text: str) -> float:
            measured.append(text)
            return float(font.getlength(text))

    log_picture._advance.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(log_picture, "_font", Counted)
        rows = log_picture._rows(*log_picture.joined(["ab" * 500] * 300))
    assert sorted(measured) == [" ", ".", "a", "b"]
    drawn = [text for row in rows for text, token in row.pieces if token is not None]
    assert sum(map(len, drawn)) == 300 * 103
    assert all(row.width <= log_picture._ROOM_PX for row in rows)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_rows_are_filled(text: str) -> None:
    """Reference: as many characters as a naive sum lets into a row, one at least."""
    fitting = log_picture._fitting(text)
    assert fitting == 1 or log_picture._width(text[:fitting]) <= log_picture._ROOM_PX
    if fitting < len(text):
        assert log_picture._width(text[: fitting + 1]) > log_picture._ROOM_PX
