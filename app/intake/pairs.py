"""Samples that are a file and a text each: halves as they came, made pairs in a spool.

``app.intake.matching`` says which belong together; what the two become is the kind's ``pair``.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.errors import RefusedMemberError, UndecodableImageError
from app.intake.grouping import Grouping
from app.intake.limits import Limits, quoted
from app.intake.matching import by_name, check_order, check_sizes, whole
from app.intake.spool import Entry, SpoolFile
from app.intake.spool_writer import SpoolWriter
from detector.errors import SampleTooLargeError
from detector.kinds import Kind


class Halves(SpoolWriter):
    """Files and texts as they came, on the disk beside the spool that they become.

    Memory holds one pair at a time, whatever their order: its file, and what the two become, which
    may be some times as large (base64 and its text). Bytes count against the limits as they come,
    and again as what the pair makes of them. The anomalies of a form are paired among themselves.

    Args:
        path: of the file; gone in the end.
        limits: of the spool; halves may be twice as many.
        stopped: as for the spool.
        kind: of samples that are pairs.
    """

    def __init__(self, path: Path, limits: Limits, stopped: threading.Event, kind: Kind) -> None:
        super().__init__(path, replace(limits, images=2 * limits.images), stopped, kind)
        self._texts: list[int] = []

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.path.unlink(missing_ok=True)

    def begin_text(self) -> None:
        """Begin the text of the next file that has none yet."""
        self._texts.append(len(self._entries))
        self.begin("")

    def join(self, writer: SpoolWriter) -> None:
        """Write every pair to a spool, in the order of the files.

        Raises:
            NoImagesError: if nothing came.
            MalformedUploadError: if there are more texts than files, or fewer.
            RefusedMemberError: if a text is not UTF-8, or either half too large.
            TooManyImagesError, UploadTooLargeError: if they are over a limit.
        """
        self.finish(Grouping())
        with SpoolFile(self.path) as halves:
            pairs = self._pairs(halves.entries)
            used = set(pairs.values())
            for at, entry in enumerate(halves.entries):
                if at not in used:
                    writer.begin(entry.name, entry.role, entry.group)
                    writer.write(self._content(halves, at, pairs.get(at)))
                    writer.end()
            if (mask := halves.mask) is not None:
                writer.begin_mask(text=isinstance(mask, str))
                writer.write(mask.encode() if isinstance(mask, str) else mask)
                writer.end()

    def _pairs(self, entries: Sequence[Entry]) -> dict[int, int]:
        if not self._texts:
            return _by_role(entries)
        texts = set(self._texts)
        files = [at for at in range(len(entries)) if at not in texts]
        check_order(len(files), len(texts))
        return dict(zip(files, self._texts, strict=True))

    def _content(self, halves: SpoolFile, file: int, text: int | None) -> bytes:
        if text is None:
            return halves.read(file)
        said = halves.entries[text]
        try:
            check_sizes(self.kind, halves.entries[file].size, said.size)
            return whole(self.kind, halves.read(file), halves.read(text))
        except SampleTooLargeError as error:
            raise RefusedMemberError(f"{quoted(halves.entries[file].name)}: {error}") from error
        except UndecodableImageError as error:
            name = said.name or f"the text of {halves.entries[file].name}"
            raise RefusedMemberError(f"{quoted(name)}: {error}") from error


def _by_role(entries: Sequence[Entry]) -> dict[int, int]:
    """Return place of a file -> place of its text; an anomaly's text is one of the anomalies."""
    found: dict[int, int] = {}
    for role in {entry.role for entry in entries}:
        places = [at for at, entry in enumerate(entries) if entry.role == role]
        matched = by_name([entries[at].name for at in places])
        found |= {places[file]: places[text] for file, text in matched.items()}
    return found
