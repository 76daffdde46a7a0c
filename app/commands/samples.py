"""What samples a detector's kind takes, here or at a server: which files, and how they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.commands.common import File
from app.commands.target import Target
from app.intake.local_images import texts_beside, words_of
from app.intake.matching import TEXT_SUFFIX
from detector.errors import InvalidSpecError
from detector.kinds import DEFAULT_KIND, KINDS, Kind, kind_of
from gatewatch import Client


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
        if not isinstance(target, Client) or kind == DEFAULT_KIND:
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

    def texts(self, files: Sequence[File]) -> dict[Path, Path]:
        """Return file -> the text that has to be sent along with it."""
        if not self.texts_apart:
            return {}
        return texts_beside([path for _, path in files], self.suffixes)

    def sent(self, files: Sequence[File]) -> list[File]:
        """Return samples of a job as they are sent: texts by the names of their files.

        None is read now; there may be many.
        """
        texts = self.texts(files)
        found: list[File] = []
        for name, file in files:
            found.append((name, file))
            if file in texts:
                found.append((str(Path(name).with_suffix(TEXT_SUFFIX)), texts[file]))
        return found

    def alone(self, file: File) -> tuple[str, Any]:
        """Return one sample as it is sent alone.

        Raises:
            UndecodableImageError: if its text cannot be read, or is no UTF-8.
        """
        name, path = file
        text = self.texts([file]).get(path)
        return name, (path if text is None else {"image": path, "text": words_of(text)})


IMAGES = Samples(DEFAULT_KIND, "image", frozenset(KINDS[DEFAULT_KIND].suffixes))


def noun(kind: str) -> str:
    """Return what one of a detector's samples is called where its kind alone is known."""
    return "image" if kind == DEFAULT_KIND else "sample"
