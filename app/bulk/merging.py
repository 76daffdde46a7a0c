"""The parts of all shards to one, read one after another; each shard must be there, once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.bulk.errors import MissingPartsError, PartsMismatchError, UnreadableSourceError
from app.bulk.fragments import Shard
from app.bulk.part import Part
from app.bulk.part_file import read_part
from app.bulk.totals import Totals
from detector.errors import ArtefactError

NAMED_AT_MOST = 20


def merged(
    paths: Sequence[Path],
    *,
    allow_missing: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> tuple[Part, list[str]]:
    """Return the part of all shards, and the shards that are missing, if they may be.

    Raises:
        MissingPartsError: if a shard is missing or unfinished, unless it may be missing.
        PartsMismatchError: if a shard is there twice, or parts do not belong together.
        UnreadableSourceError, ArtefactError: if a file cannot be read or is damaged.
    """
    totals: Totals | None = None
    listing, of = "", 0
    found: dict[int, Path] = {}
    for path in paths:
        part, about = _read(path)
        shard = Shard(*about["shard"])
        if totals is None:
            listing, of = about["listing"], shard.of
        if (about["listing"], shard.of) != (listing, of):
            raise PartsMismatchError(
                f"{path} is a shard of other images than {next(iter(found.values()))}, or of "
                "another number of shards"
            )
        if shard.number in found:
            raise PartsMismatchError(f"{path} and {found[shard.number]} are both shard {shard}")
        found[shard.number] = path
        if totals is None:
            totals = Totals(part)
        else:
            totals.add(part)
        progress(1)
    missing = [f"{number}/{of}" for number in range(1, of + 1) if number not in found]
    if totals is None or (missing and not allow_missing):
        named = ", ".join(missing[:NAMED_AT_MOST]) + (", ..." if missing[NAMED_AT_MOST:] else "")
        raise MissingPartsError(
            f"{len(missing)} of {of} shards are missing: {named}; make them, or merge what is "
            "there with --allow-missing"
        )
    return totals.whole(), missing


def _read(path: Path) -> tuple[Part, Mapping[str, Any]]:
    try:
        part, about = read_part(path.read_bytes())
        if not about["whole"]:
            raise MissingPartsError(
                f"{path} is not finished: run its shard, {'/'.join(map(str, about['shard']))}, "
                "to its end"
            )
        return part, about
    except OSError as error:
        raise UnreadableSourceError(f"{path} cannot be read: {error.strerror}") from error
    except (ArtefactError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path}: {error}") from error
