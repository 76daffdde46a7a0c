"""Log lines as tokens: words stay, and what changes from line to line becomes a placeholder.

A line is cut at white space, quotes and any of = ; | ( ) [ ] { } < >, and every piece is first
tried as a whole::

    <time>  2005-06-03-15.42.50.675872   12:04:59,123   2005.06.03   2005-06-03T15:42:50Z
    <ip>    10.0.0.1   10.0.0.1:80   fe80::1:2
    <uuid>  123e4567-e89b-12d3-a456-426614174000
    <path>  /var/log/x.1   C:\\x\\y   http://a/b (with or without digits, two slashes or more)
    <id>    R02-M1-N0-C:J12-U11   ff:f2:9f (three parts or more, most of them with a digit)

What is none of these is cut at whatever is neither letter nor digit; then::

    <hex>   0x1f   00544eb8   deadbeef01 (eight or more hexadecimal digits of both sorts)
    <num>   42   15ms (digits, with a unit of at most three letters)
    <id>    R02   J12 (letters and digits)
    word    anything else, in lower case if so wished

Of a word of more than 100 characters the rest is cut off (``parsing.vocabulary_bounds``); its span
has all of it.

Of the same placeholder several times in a row one is left, so that an address, or a list of
numbers, counts once however long it is. All patterns are tried at one place and without
alternatives that overlap: a piece takes time in proportion to its length.

Such masking before anything is learned of log messages is customary: He et al., "Drain: An Online
Log Parsing Approach with Fixed Depth Tree", ICWS 2017, section III-B ("Preprocess by Domain
Knowledge"). Ours: the patterns.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from detector.kinds.parsing.vocabulary_bounds import LONGEST_WORD

_TIME = re.compile(
    r"\d{4}[-./]\d\d[-./]\d\d(?:[-T_]?\d\d[:.]\d\d(?:[:.]\d\d)?(?:[.,]\d+)?)?"
    r"(?:Z|[+-]\d\d:?\d\d)?|\d{1,2}[:]\d\d(?:[:]\d\d)?(?:[.,]\d+)?Z?"
)
_IP = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d{1,5})?|[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){2,7}"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PATH = re.compile(r"[^\s/\\]*[/\\][^\s/\\]*[/\\]\S*")
_PIECE = re.compile(r"[^\s=;|\"'`()\[\]{}<>]+")
_PART = re.compile(r"[^\W_]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+|(?=[0-9]*[a-fA-F])[0-9a-fA-F]{8,}")
_NUMBER = re.compile(r"\d+[a-zA-Z]{0,3}")
_DIGIT = re.compile(r"\d")
_AROUND = ",:.!?"

_WHOLE = ((_TIME, "<time>"), (_IP, "<ip>"), (_UUID, "<uuid>"))


@dataclass(frozen=True, slots=True)
class Span:
    """Where a token stands: in which line, from which character to before which."""

    line: int
    start: int
    end: int


def words(line: str, number: int = 0, *, lower: bool = True) -> list[tuple[str, Span]]:
    """Return the tokens of one line and where they stand.

    Args:
        line: without line breaks.
        number: which line of its sample it is.
        lower: whether words are in lower case.
    """
    found: list[tuple[str, Span]] = []

    def add(token: str, start: int, end: int) -> None:
        if found and token[0] == "<" and found[-1][0] == token:
            start = found.pop()[1].start
        found.append((token, Span(number, start, end)))

    for piece in _PIECE.finditer(line):
        bare = piece.group().strip(_AROUND)
        start = piece.start() + piece.group().find(bare)
        whole = _whole(bare)
        if whole:
            add(whole, start, start + len(bare))
            continue
        for part in _PART.finditer(bare):
            add(_token(part.group(), lower), start + part.start(), start + part.end())
    return found


def template(found: Sequence[tuple[str, Span]], longest: int) -> tuple[str, Span]:
    """Return the tokens of one line as one, of ``longest`` characters at most, and its place."""
    (_, first), (_, last) = found[0], found[-1]
    text = " ".join(token for token, _ in found)
    return text[:longest], Span(first.line, first.start, last.end)


def _whole(piece: str) -> str | None:
    if _PATH.fullmatch(piece):
        return "<path>"
    if not _DIGIT.search(piece):
        return None
    for pattern, name in _WHOLE:
        if pattern.fullmatch(piece):
            return name
    parts = _PART.findall(piece)
    numbered = sum(_DIGIT.search(part) is not None for part in parts)
    if len(parts) < 3 or 2 * numbered <= len(parts):
        return None
    return "<num>" if all(part.isdecimal() for part in parts) else "<id>"


def _token(part: str, lower: bool) -> str:
    if not _DIGIT.search(part):
        return (part.lower() if lower else part)[:LONGEST_WORD]
    if _HEX.fullmatch(part):
        return "<hex>"
    return "<num>" if _NUMBER.fullmatch(part) else "<id>"
