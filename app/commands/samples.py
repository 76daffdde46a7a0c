"""What samples a detector's kind takes, here or at a server: which files, and how they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.commands.local import Local
from app.commands.local.base import File
from app.commands.target import Target
from app.intake.local_images import text_beside
from app.intake.matching import TEXT_SUFFIX
from detector.errors import InvalidSpecError
from detector.kinds import DEFAULT_KIND, KINDS, Kind, kind_of

FILES_OF_A_PAIR = 2
"""Files of a pair, which a request counts one by one."""


@dataclass(frozen=True)
class Samples:
    """What samples are.

    Attributes:
        kind: the name of it.
        noun: what one is called.
        suffixes: of those files of a folder that are samples.
        texts_apart: whether a text lies beside a file that has to be sent along with it.
    """

    kind: str
    noun: str
    suffixes: frozenset[str]
    texts_apart: bool = False

    @classmethod
    def of(cls, target: Target, kind: str) -> "Samples":
        """Return what the samples of a kind are. Raises InvalidSpecError if it has none such."""
        if isinstance(target, Local) or kind == DEFAULT_KIND:
            return cls._here(kind_of(kind))
        kinds = target.info().kinds
        if kind not in kinds:
            raise InvalidSpecError(f"no kind {kind!r}; there is: {', '.join(kinds)}")
        told = kinds[kind]
        return cls(kind, told.sample, frozenset(told.suffixes), told.pairs)

    @classmethod
    def _here(cls, kind: Kind) -> "Samples":
        return cls(kind.name, kind.sample, frozenset(kind.suffixes))

    @classmethod
    def of_detector(cls, target: Target, name: str) -> "Samples":
        """Return what the samples of a detector are.

        Raises:
            DetectorError, GatewatchError: if there is no such detector.
        """
        return cls.of(target, target.detector(name).kind)

    def sent(self, files: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return samples as they are sent: each text after its file, by whose name it is known."""
        if not self.texts_apart:
            return list(files)
        found: list[tuple[str, Any]] = []
        for name, file in files:
            found.append((name, file))
            text = text_beside(file) if isinstance(file, Path) else None
            if text is not None:
                found.append((str(Path(name).with_suffix(TEXT_SUFFIX)), text))
        return found

    def alone(self, file: File) -> tuple[str, Any]:
        """Return one sample as it is sent alone."""
        name, path = file
        text = text_beside(path) if self.texts_apart else None
        if text is None:
            return file
        return name, {"image": path, "text": text.read_text(encoding="utf-8-sig")}

    def at_once(self, most: int) -> int:
        """Return how many samples one request may bring that takes so many files."""
        return max(most // FILES_OF_A_PAIR, 1) if self.texts_apart else most


IMAGES = Samples(DEFAULT_KIND, "image", frozenset(KINDS[DEFAULT_KIND].suffixes))


def noun(kind: str) -> str:
    """Return what one of a detector's samples is called where its kind alone is known."""
    return "image" if kind == DEFAULT_KIND else "sample"
