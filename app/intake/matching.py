"""Which text belongs to which file, where a sample is one of each.

By their names, in an archive, a folder and a form: ``a.jpg`` and ``a.txt`` are one sample, named
``a.jpg``, if they lie in the same folder and no third file has that name but for its suffix. Or by
their order, in a form alone: the i-th field ``texts`` belongs to the i-th file.

A file or a text that is left over is a sample as it is, so that it fails alone, under its name.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.errors import MalformedUploadError, UndecodableImageError
from detector.errors import SampleTooLargeError

if TYPE_CHECKING:
    from detector.kinds import Kind

TEXT_SUFFIX = ".txt"
TEXT_BYTES = 2**20
"""Most bytes of a text: far more than a kind takes, and little beside its file."""


def by_name(names: Sequence[str]) -> dict[int, int]:
    """Return place of a file -> place of the text that belongs to it."""
    files: dict[str, list[int]] = defaultdict(list)
    texts: dict[str, list[int]] = defaultdict(list)
    for at, name in enumerate(names):
        stem, _, suffix = name.rpartition(".")
        if stem and "/" not in suffix:
            (texts if is_text(name) else files)[stem].append(at)
    return {
        files[stem][0]: places[0]
        for stem, places in texts.items()
        if len(places) == len(files[stem]) == 1
    }


def is_text(name: str) -> bool:
    """Whether a name is that of a text."""
    return name.lower().endswith(TEXT_SUFFIX)


def check_order(files: int, texts: int) -> None:
    """Refuse a form whose texts do not belong to its files, one each. Raises MalformedUploadError.

    Which one is missing cannot be known.
    """
    if files != texts:
        raise MalformedUploadError(
            f"{files} file(s) and {texts} text(s): send a text for each file, in the same order"
        )


def check_sizes(kind: "Kind", file: int, text: int) -> None:
    """Refuse halves that are too large, before they are read or made one.

    Args:
        kind: of the pair.
        file: its bytes; at most the kind's limit of a whole sample, if it has one.
        text: its bytes; at most ``TEXT_BYTES``.

    Raises:
        SampleTooLargeError: if either is.
    """
    if text > TEXT_BYTES:
        raise SampleTooLargeError(f"its text has more than {TEXT_BYTES} bytes: send a shorter one")
    most = kind.limits.get("bytes")
    if most is not None and file > most:
        raise SampleTooLargeError(f"it has more than {most:.0f} bytes: send a smaller file")


def whole(kind: "Kind", file: bytes, text: bytes) -> bytes:
    """Return the one sample that a file and its text are.

    Args:
        kind: of the pair.
        file: as it is.
        text: UTF-8, with or without a mark that says so.

    Raises:
        SampleTooLargeError: if either is too large.
        UndecodableImageError: if the text is no UTF-8.
    """
    check_sizes(kind, len(file), len(text))
    return kind.pair(file, text_of(text))


def text_of(content: bytes) -> str:
    """Return the text in a file: UTF-8, with or without a mark that says so.

    Raises:
        UndecodableImageError: if it is not.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UndecodableImageError(f"its text is no UTF-8: {error}") from error
