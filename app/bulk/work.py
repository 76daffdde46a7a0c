"""A shard as it is ordered, how far it is, and the file that says so.

The file is a part with a few words beside it: of which images, which shard, how many are done.
"""

import errno
import glob
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.bulk.errors import ChangedSourcesError, TooManyFailedError
from app.bulk.fragments import Fragment, Shard, digest
from app.bulk.part import Part
from app.bulk.part_file import read_part
from app.bulk.plan import Allowed
from app.bulk.sources import How
from detector.errors import ArtefactError

_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Work:
    """A shard of a fit.

    Attributes:
        fragments: of all shards.
        shard: which of them is done.
        how: images are read.
        kept: file of what is done.
        allowed: to be left out of what is whole.
    """

    fragments: Sequence[Fragment]
    shard: Shard
    how: How
    kept: Path
    allowed: Allowed = field(default_factory=Allowed)

    @property
    def kept_by_ray(self) -> Path:
        """File of what a run on Ray has done, which counts otherwise."""
        return self.kept.with_name(f"{self.kept.name}.ray")

    def require_used(self, part: Part, kept: Path) -> None:
        """Refuse to call a part whole of which too much was left out.

        Raises:
            TooManyFailedError: which names the file that has to go before images are read again.
        """
        try:
            part.require_used(self.allowed)
        except TooManyFailedError as error:
            raise TooManyFailedError(
                f"{error}. What was read is kept in {kept}: remove it to read all anew"
            ) from error

    @property
    def listing(self) -> str:
        """What tells the images from others, and how they are read."""
        return f"{digest(self.fragments)} {self.how.image_column} {self.how.group_pattern}"

    def about(self, done: "Done") -> dict[str, Any]:
        """Return what stands in the file beside the part."""
        return {
            "shard": [self.shard.number, self.shard.of],
            "listing": self.listing,
            "fragments": done.fragments,
            "images": done.images,
            "whole": done.whole,
            "written": uuid.uuid4().hex,
        }


@dataclass(frozen=True, slots=True)
class Done:
    """How far it is: fragments that are done, images of the next one, or all."""

    fragments: int = 0
    images: int = 0
    whole: bool = False


def begun(work: Work, none: Part) -> tuple[Part, Done]:
    """Return what an earlier run has done, ``none`` and nothing if there was none.

    Raises:
        ChangedSourcesError: if it did something else.
        ArtefactError: if its file is damaged.
    """
    for unfinished in work.kept.parent.glob(f".{glob.escape(work.kept.name)}.*{_UNFINISHED}"):
        # Of a process that was killed while it wrote this file, or that of Ray beside it.
        unfinished.unlink(missing_ok=True)
    try:
        content = work.kept.read_bytes()
    except FileNotFoundError:
        return none, Done()
    try:
        part, about = read_part(content)
        done = Done(about["fragments"], about["images"], about["whole"])
        shard = Shard(*about["shard"])
        listing = about["listing"]
    except (ArtefactError, KeyError, TypeError) as error:
        raise ArtefactError(f"{work.kept}: {error}; remove it to begin anew") from error
    if listing != work.listing or shard != work.shard:
        what = (
            "other images, or images read otherwise," if shard == work.shard else f"shard {shard}"
        )
        raise ChangedSourcesError(
            f"{work.kept} is of {what} and cannot be gone on with: restore the sources as they "
            "were, or remove the file to begin anew"
        )
    try:
        none.require_like(part)
    except Exception as error:
        raise ChangedSourcesError(
            f"{work.kept} was begun with other options: {error}; or remove it to begin anew"
        ) from error
    return part, done


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, so that it is there after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE) or not path.parent.exists():
                raise
            # else another run of the shard has begun meanwhile, and removed it: write it again
        finally:
            unfinished.unlink(missing_ok=True)
