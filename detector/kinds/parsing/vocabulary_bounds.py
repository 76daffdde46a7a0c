"""How long words are, and how large a vocabulary is, whatever strangers' texts have.

A network's file keeps its vocabulary in a header of 100 MB at most (safetensors), in which a
character takes up to 14 bytes: JSON within JSON. Ours: both bounds, which normal text is far from.
"""

from collections.abc import Iterable

LONGEST_WORD = 100
"""Characters of a word of text; the rest of a longer one is cut off."""
CHARACTERS = 1_000_000
"""Of all words of a vocabulary."""


def within(words: Iterable[str]) -> list[str]:
    """Return the first words, of as many as have ``CHARACTERS`` together."""
    kept, room = [], CHARACTERS
    for word in words:
        room -= len(word)
        if room < 0:
            break
        kept.append(word)
    return kept
