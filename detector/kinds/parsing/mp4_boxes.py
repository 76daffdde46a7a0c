"""The boxes of an mp4 file, before a decoder sees them: whether all are there, and what they cost.

A box is its length (4 bytes, or 8 behind the type if that is 1; 0: to the end), a type and a body;
the bodies of some are boxes again. Tables say how many samples (frames, pieces of sound) a track
has, and FFmpeg makes an entry of its index of each when it opens the file, whatever there is of
them: twenty bytes may claim four thousand million. So the entries are counted first::

    entries = sum over tracks  samples * max(edits, 1)  +  sum over fragments  samples + tracks

The samples of sound that is not compressed, say 48 000 a second, are put together: at least 160 of
a chunk are an entry. Where FFmpeg takes boxes that do not belong somewhere, so does this count.

Source: ISO/IEC 14496-12, sections 4.2 (boxes), 8.6.6 (edits), 8.7 (tables), 8.8 (fragments).
FFmpeg's ``libavformat/mov.c`` for what is taken where, and for 160. The limits are ours.
"""

from collections import defaultdict
from collections.abc import Iterator

from detector.errors import SampleTooLargeError, UndecodableSampleError, UnsupportedSampleError

MOST_ENTRIES = 10**6
"""Of an index, about 100 bytes each; ten hours of frames."""
MOST_TOP_BOXES = 100_000
"""On the level of the file: a fragment and its data for each of 50 000 frames."""
MOST_BOXES = 1000
"""In one box."""
_MOST_DEPTH = 10  # FFmpeg's
_HOLDERS = {
    *(b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof", b"traf"),
    *(b"tref", b"udta", b"meta", b"ilst", b"wave", b"sinf", b"schi"),
}
_WIDTHS = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8, b"stss": 4}
_PLAIN = {
    *(b"sowt", b"twos", b"lpcm", b"in24", b"in32", b"fl32", b"fl64", b"raw ", b"NONE"),
    *(b"ulaw", b"alaw", b"ipcm", b"fpcm"),
}
_LEAST_TOGETHER = 160

Box = tuple[bytes, int, int]
"""Type, and where its body begins and ends."""
Tables = dict[bytes, list[bytes]]


def is_whole(content: bytes) -> bool:
    """Whether a file's boxes end where the file does, or go to its end."""
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16])
        if length == 0:
            return True
        at += max(length, 8)
    return at <= len(content)


def check_cost(content: bytes) -> None:
    """Refuse a file that costs more to open than it is worth.

    Raises:
        SampleTooLargeError: if there would be more than ``MOST_ENTRIES``, or too many boxes.
        UndecodableSampleError: if a table has more rows than fit it, or samples more bytes than
            the file.
        UnsupportedSampleError: if the tables are compressed, or hidden where none belong.
    """
    fragments: Tables = defaultdict(list)
    tracks: list[Tables] = []
    _gather(content, 0, len(content), fragments, tracks, 0)
    entries = len(fragments[b"moof"]) * len(tracks)
    for tables in (fragments, *tracks):
        entries += _track_entries(tables, len(content))
        entries += sum(_number(body, 4) for body in tables[b"trun"])
        if entries > MOST_ENTRIES:
            raise SampleTooLargeError(
                f"the video claims more than {MOST_ENTRIES} frames and pieces of sound: send it in "
                "parts"
            )


def _gather(
    content: bytes, start: int, end: int, found: Tables, tracks: list[Tables], depth: int
) -> None:
    """Put the bodies of all boxes in ``found``, those of a track in one more of ``tracks``."""
    if depth > _MOST_DEPTH:
        raise UndecodableSampleError("the video's boxes lie too deep in one another")
    for kind, begin, stop in _boxes(content, start, end, MOST_BOXES if depth else MOST_TOP_BOXES):
        inner = found
        if kind == b"trak":
            inner = defaultdict(list)
            tracks.append(inner)
        if kind == b"meta":  # whose boxes may follow a number, and begin with this one
            begin = max(content.find(b"hdlr", begin, stop) - 4, begin)
        # FFmpeg believes that these are no free space, but a header somebody took out
        taken_out = kind in (b"free", b"hoov") and content[begin + 4 : begin + 8] in (
            b"mvhd",
            b"cmov",
        )
        if kind in _HOLDERS or taken_out:
            _gather(content, begin, stop, inner, tracks, depth + 1)
        if kind == b"moof":
            found[kind].append(b"")
        elif kind == b"cmov":
            raise UnsupportedSampleError("the video's header is compressed: send it without")
        elif kind in _WIDTHS or kind in (b"stsz", b"stz2", b"trun", b"elst", b"hdlr", b"stsd"):
            inner[kind].append(content[begin:stop])


def _boxes(content: bytes, start: int, end: int, most: int) -> Iterator[Box]:
    """Yield the boxes of a level; one that is longer than there is room ends where that ends."""
    at = start
    number = 0
    while at + 8 <= end:
        number += 1
        if number > most:
            raise SampleTooLargeError(f"the video has more than {most} boxes on one level")
        length, kind, head = _number(content, at), content[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(content[at + 8 : at + 16]), 16
        if length == 0:
            length = end - at
        if length < head:
            return
        yield kind, at + head, min(at + length, end)
        at += length


def _track_entries(tables: Tables, there: int) -> int:
    """Return how many entries of an index a track's tables claim, or what lies in no track."""
    for kind, width in _WIDTHS.items():
        for body in tables[kind]:
            _require_rows(kind, _number(body, 4) * width, len(body) - 8)
    samples = 0
    for body in tables[b"stsz"]:
        each, count = _number(body, 4), _number(body, 8)
        if each * count > there:
            raise UndecodableSampleError("the video claims more bytes of samples than it has")
        if not each:
            _require_rows(b"stsz", count * 4, len(body) - 12)
        samples += count
    for body in tables[b"stz2"]:
        _require_rows(b"stz2", _number(body, 8) * (_number(body, 4) & 255) // 8, len(body) - 12)
        samples += _number(body, 8)
    for body in tables[b"stsd"]:
        if any(kind in body for kind in (b"stsz", b"stz2", b"tfhd", b"trun")):
            raise UnsupportedSampleError("the video has tables where none belong")
    together = _together(tables)
    samples = together if _is_plain_sound(tables) else max(samples, together)
    return samples * max(sum(_number(body, 4) for body in tables[b"elst"]), 1)


def _is_plain_sound(tables: Tables) -> bool:
    """Whether FFmpeg is sure to put the samples of a track together; if in doubt, it is not."""
    kinds = {body[8:12] for body in tables[b"hdlr"]}
    alone = all(len(tables[kind]) == 1 for kind in (b"stsd", b"stsz", b"stts", b"stsc"))
    if not alone or tables[b"stz2"] or b"soun" not in kinds or b"vide" in kinds:
        return False
    described, (times,) = tables[b"stsd"][0], tables[b"stts"]
    one_description = _number(described, 4) == 1 and described[12:16] in _PLAIN
    return one_description and _number(times, 4) == 1 and _number(times, 12) == 1


def _together(tables: Tables) -> int:
    """Return the most entries of plain sound: in each chunk, those of the chunk with the most."""
    chunks = sum(_number(body, 4) for kind in (b"stco", b"co64") for body in tables[kind])
    most = 0
    for body in tables[b"stsc"]:
        rows = range(8, 8 + 12 * _number(body, 4), 12)
        most = max([most, *(_number(body, row + 4) for row in rows)])
    return chunks * -(-most // _LEAST_TOGETHER)


def _require_rows(kind: bytes, claimed: int, there: int) -> None:
    if claimed > max(there, 0):
        raise UndecodableSampleError(f"the video's table {kind.decode()} is cut short")


def _number(content: bytes, at: int) -> int:
    """Return the four bytes at a place; 0 behind the end."""
    return int.from_bytes(content[at : at + 4])
