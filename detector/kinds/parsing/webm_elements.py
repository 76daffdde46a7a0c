"""The elements of a webm file, before a decoder sees them: whether all are there.

An element is its identifier, its length and its body; of a number's bytes, the zeros that lead the
first tell how many follow, and all ones is no length.

Source: RFC 8794, sections 4 to 6.
"""

EBML = bytes.fromhex("1A45DFA3")
"""With which a file begins: its header."""
_SEGMENT = bytes.fromhex("18538067")


def is_whole(content: bytes) -> bool:
    """Whether a file's header and segment end within it; the length of a live one is not known."""
    at = 0
    for identifier in (EBML, _SEGMENT):
        if content[at : at + 4] != identifier or at + 4 >= len(content):
            return False
        size = 9 - content[at + 4].bit_length()
        number = int.from_bytes(content[at + 4 : at + 4 + size]) & ((1 << 7 * size) - 1)
        if number == (1 << 7 * size) - 1:
            return identifier == _SEGMENT
        at += 4 + size + number
    return at <= len(content)
