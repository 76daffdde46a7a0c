"""Samples that lie in a folder of the server: listed for a job, read in place at their turn.

Only folders below the operator's ``import_roots`` are read, wherever links lead: every path is
resolved, when it is listed and again when it is read. A link to an image inside the roots counts as
the image; one that leads out of them, and a link to a folder, which could lead in a circle or give
images twice, refuse the whole import by name. Files that are no sample of the detector's kind, by
their suffix, and the clutter of desktops are left alone; so are, where a sample is a file with a
text, texts without a file.

A listing is a spool without images (``app.intake.spool``), so any process can take the job up.
"""

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from app.errors import (
    ForbiddenFolderError,
    NoImagesError,
    RefusedMemberError,
    UndecodableImageError,
    UnknownFolderError,
)
from app.intake.archives import is_clutter
from app.intake.grouping import Grouping
from app.intake.limits import Limits, quoted
from app.intake.matching import TEXT_SUFFIX, by_name, check_sizes, is_text, whole
from app.intake.spool import Entry, ListedText, Spooled, SpoolFile, seal
from app.intake.spool_writer import check_name
from detector.kinds import Kind, image, kind_of


def from_allowed_folder(
    folder: Path,
    roots: Sequence[Path],
    limits: Limits,
    path: Path,
    grouping: Grouping,
    kind: Kind = image.KIND,
) -> Spooled:
    """List the samples below a folder in a new file, sorted by their path; it blocks.

    Names are paths relative to the folder. Nothing is read but names, sizes and times.

    Args:
        folder: Absolute; below one of the roots, or one itself.
        roots: The folders that may be imported.
        limits: Of the job.
        path: Of the file; nothing may be there yet, and on any failure nothing is.
        grouping: Which group each sample belongs to.
        kind: Of the samples.

    Raises:
        ForbiddenFolderError: if it, or a link in it, lies outside of the roots.
        UnknownFolderError: if there is no such folder, or it cannot be read.
        RefusedMemberError: if it holds a link to a folder, or a name that cannot be kept.
        NoImagesError: if it holds no image.
        TooManyImagesError, UploadTooLargeError: if it is over a limit.
        InvalidGroupError: if a folder's name cannot be a group.
    """
    if not roots:
        raise ForbiddenFolderError(
            "no folder of the server may be imported: let the operator set GATEWATCH_IMPORT_ROOTS "
            "to the folders that may, or upload the images"
        )
    roots = [root.resolve() for root in roots]
    top = _allowed(folder, roots, str(folder))
    suffixes = {*kind.suffixes, *([TEXT_SUFFIX] if kind.pairs else [])}
    most = replace(limits, images=2 * limits.images) if kind.pairs else limits
    listed = sorted(_walk(top, roots, most, suffixes), key=lambda item: _key(item[0]))
    entries, total = _entries(listed, limits, grouping, kind)
    if not entries:
        looked_for = ", ".join(sorted(suffixes))
        raise NoImagesError(f"no {kind.sample} in {folder}; looked for {looked_for}")
    grouping.check([entry.name for entry in entries])
    with open(path, "xb") as listing:
        try:
            digest = seal(ZipFile(listing, "w"), entries)
        except BaseException:
            path.unlink()
            raise
    return Spooled(path, len(entries), total, digest)


def _entries(
    listed: Sequence[tuple[str, Path, os.stat_result]],
    limits: Limits,
    grouping: Grouping,
    kind: Kind,
) -> tuple[list[Entry], int]:
    """Return what is known of every sample, and the bytes of all."""
    texts = by_name([name for name, _, _ in listed]) if kind.pairs else {}
    entries: list[Entry] = []
    total = 0
    for at, (name, file, found) in enumerate(listed):
        if kind.pairs and is_text(name):
            continue
        text = None
        if at in texts:
            _, beside, state = listed[texts[at]]
            text = ListedText(kind.name, str(beside), state.st_size, state.st_mtime_ns)
            total += text.size
        total += found.st_size
        limits.check_count(len(entries) + 1)
        limits.check_total(total)
        mtime_ns, group = found.st_mtime_ns, grouping.of(name)
        entry = Entry(name, group, "normal", found.st_size, None, str(file), mtime_ns, text)
        entries.append(entry)
    return entries, total


def open_images(path: Path, roots: Sequence[Path]) -> SpoolFile:
    """Open a finished spool, of an upload or of a folder below the roots.

    Raises:
        DamagedSpoolError: if the file is missing, cut short or changed.
    """
    images = SpoolFile(path)
    if images.entries[0].file is None:
        return images
    images.close()
    return FolderImages(path, roots)


class FolderImages(SpoolFile):
    """The samples of a listing, read where they lie."""

    def __init__(self, path: Path, roots: Sequence[Path]) -> None:
        super().__init__(path)
        self._roots = [root.resolve() for root in roots]

    def read(self, index: int) -> bytes:
        """Return the bytes of the sample at this place, counted from 0.

        Raises:
            UndecodableImageError: if the file has gone, was changed since it was listed, cannot
                be read or now leads out of the roots, or its text is no UTF-8; other images are
                not concerned.
            SampleTooLargeError: if file or text is too large for a pair.
        """
        entry = self.entries[index]
        said = entry.text
        if said is not None:
            check_sizes(kind_of(said.kind), entry.size, said.size)
        content = self._listed(entry.name, entry.file or "", entry.size, entry.mtime_ns)
        if said is None:
            return content
        text = self._listed(entry.name, said.file, said.size, said.mtime_ns)
        return whole(kind_of(said.kind), content, text)

    def _listed(self, name: str, listed: str, size: int, mtime_ns: int | None) -> bytes:
        """Return the bytes of a file, if it is the one that was listed."""
        try:
            file = _allowed(Path(listed), self._roots, name)
            # Not a link that has just been put here; and a pipe would wait for its other end.
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb") as stream:
                if _state(os.fstat(handle)) != (True, size, mtime_ns):
                    raise UndecodableImageError("the file was changed after it was listed")
                content = stream.read(size + 1)
        except (ForbiddenFolderError, UnknownFolderError) as error:
            raise UndecodableImageError(str(error)) from error
        except OSError as error:
            raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error
        if len(content) != size:
            raise UndecodableImageError("the file was changed while it was read")
        return content


def _state(found: os.stat_result) -> tuple[bool, int, int]:
    return stat.S_ISREG(found.st_mode), found.st_size, found.st_mtime_ns


def _key(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts


def _walk(
    top: Path, roots: Sequence[Path], limits: Limits, suffixes: Collection[str]
) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Yield name, resolved path and state of every file below a folder with these suffixes."""
    count = 0
    for folder, below, files in os.walk(top, onerror=_unreadable):
        for name in below:
            if os.path.islink(os.path.join(folder, name)):
                shown = quoted(os.path.relpath(os.path.join(folder, name), top))
                _allowed(Path(folder, name), roots, shown)
                raise RefusedMemberError(
                    f"{shown} is a link to a folder: import that folder itself, or remove the link"
                )
        for file in files:
            if PurePosixPath(file).suffix.lower() not in suffixes or is_clutter([file]):
                continue
            name = os.path.relpath(os.path.join(folder, file), top)
            target = Path(folder, file)
            if target.is_symlink():  # the folders on the way are none
                target = _allowed(target, roots, quoted(name))
            try:
                found = target.stat()
            except OSError:  # gone meanwhile
                continue
            if not stat.S_ISREG(found.st_mode):
                continue
            count += 1
            limits.check_count(count)
            limits.check_image(name, found.st_size)
            _check_name(name)
            yield name, target, found


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise RefusedMemberError(f"the name {quoted(name)} is not UTF-8: rename it") from error
    check_name(name)


def _allowed(path: Path, roots: Sequence[Path], shown: str) -> Path:
    """Return where a path leads, if that is below the roots, which are resolved already.

    What lies outside is not asked whether it exists: the answer would tell.

    Raises:
        ForbiddenFolderError: if it is not.
        UnknownFolderError: if it leads nowhere.
    """
    try:
        target = path.resolve()
        if not any(target.is_relative_to(root) for root in roots):
            raise ForbiddenFolderError(
                f"{shown} lies outside the folders that may be imported (import_roots)"
            )
        target.stat()
    except (OSError, ValueError, RuntimeError) as error:  # of links in a circle, or a zero byte
        raise UnknownFolderError(f"{shown} is not there, or may not be read") from error
    return target


def _unreadable(error: OSError) -> None:
    raise UnknownFolderError(f"a folder cannot be read: {error.strerror}") from error
