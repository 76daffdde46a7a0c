"""The words of a fit at large, and what they ask for: which make a fit one, and their defaults."""

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import typer

from app.bulk.errors import BulkError
from app.bulk.fragments import Shard
from app.bulk.plan import Allowed, HoldOut
from app.bulk.sources import BUCKETS, How, is_table, is_tar
from app.commands.learning import new_line
from app.commands.lines import line_of
from app.intake.grouping import pattern_of
from app.lines import Line
from app.settings import Settings
from detector.errors import InvalidSpecError, MissingAnomaliesError

TAKE_ANOMALIES = ("cost", "f1")


@dataclass(frozen=True, slots=True)
class Finish:
    """How the end is asked for: the line, what may have failed, and where that is told."""

    target: float | None
    method: str | None
    parameter: Sequence[str] | None
    most_failed: float | None
    allow_damaged: bool | None
    rejected: Path | None
    reason: str

    @property
    def is_given(self) -> bool:
        """Whether anything is said of it that an ordinary fit has no use for."""
        return any(each is not None for each in astuple(self)[:-1])

    @property
    def line(self) -> Line:
        """The threshold that is wanted.

        Raises:
            InvalidSpecError: if it cannot be.
            MissingAnomaliesError: if it takes known anomalies, too.
        """
        method = "conformal" if self.method is None else self.method
        target = 0.05 if self.target is None else self.target
        line = line_of(new_line(method, target, self.parameter, False, None))
        if method in TAKE_ANOMALIES:
            raise MissingAnomaliesError(
                f"{method} weighs false alarms against known anomalies, and a fit at large has "
                "none: leave out --method, and calibrate with some later"
            )
        return line

    @property
    def allowed(self) -> Allowed:
        """What may have been left out."""
        most = 0.5 if self.most_failed is None else self.most_failed
        return Allowed(most, bool(self.allow_damaged))

    def check(self) -> None:
        """Refuse before the work what could not be done at its end.

        Raises:
            InvalidSpecError, MissingAnomaliesError: as ``line``.
            BulkError: if the list of what was left out cannot be written.
        """
        _ = self.line
        file = self.rejected
        if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
            raise BulkError(f"--rejected {file}: no file can be written there")


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of ``gatewatch fit``."""

    sources: Sequence[str]
    what: dict[str, Any]
    option: Sequence[str] | None
    roi: Path | None
    extend: bool
    group_pattern: str | None
    hold_out: float | None
    calibration_images: int | None
    seed: int | None
    finish: Finish
    image_column: str | None
    shard: str | None
    out: Path | None
    work: Path | None
    engine: str
    workers: int | None
    decoders: int | None
    ray_address: str | None

    @property
    def is_large(self) -> bool:
        """Whether it is more than a folder or an image for one job."""
        first = self.sources[0]
        return (
            len(self.sources) > 1
            or first.startswith(BUCKETS)
            or is_tar(first)
            or is_table(first)
            or self.engine != "here"
            or self.finish.is_given
            or self.of_ray
            or any(
                each is not None
                for each in (
                    self.hold_out,
                    self.calibration_images,
                    self.seed,
                    self.image_column,
                    self.shard,
                    self.out,
                    self.work,
                )
            )
        )

    @property
    def of_ray(self) -> bool:
        """Whether something is said of a cluster."""
        return any(each is not None for each in (self.workers, self.decoders, self.ray_address))

    @property
    def plan(self) -> HoldOut:
        """Which images are held out."""
        share = 0.1 if self.hold_out is None else self.hold_out
        most = 1000 if self.calibration_images is None else self.calibration_images
        return HoldOut(share, most, self.seed or 0)


def require_together(asked: Asked, *, mask: bool, at_server: bool) -> None:
    """Refuse words that do not go together. Raises typer.BadParameter."""
    if at_server:
        raise typer.BadParameter(
            "a fit at large runs where its images are, not at a server: leave out --url and set "
            "the server's GATEWATCH_DATABASE and GATEWATCH_BUCKET, or take the detector there with "
            "gatewatch export and gatewatch import"
        )
    if mask:
        raise typer.BadParameter("a fit at large takes no --mask: fix one with --roi")
    if (asked.shard is None) != (asked.out is None):
        raise typer.BadParameter("--shard and --out go together: a share, and its part's file")
    if asked.engine not in ("here", "ray"):
        raise typer.BadParameter("--engine is here or ray")
    if asked.engine == "ray" and asked.shard:
        raise typer.BadParameter("--engine ray shares the work itself: leave out --shard")
    if asked.engine != "ray" and asked.of_ray:
        raise typer.BadParameter("--workers, --decoders and --ray-address go with --engine ray")


def how_of(asked: Asked, settings: Settings) -> How:
    """Return how images are read. Raises InvalidSpecError."""
    if asked.group_pattern:
        pattern_of(asked.group_pattern)
    return How(
        asked.image_column or "",
        asked.group_pattern or "",
        settings.max_image_bytes,
        settings.max_compression_ratio,
    )


def shard_of(text: str) -> Shard:
    """Return the shard that is meant. Raises InvalidSpecError."""
    number, _, of = text.partition("/")
    if not (number.isascii() and number.isdigit() and of.isascii() and of.isdigit()):
        raise InvalidSpecError(f"--shard {text!r}: write I/N, as 1/8 to 8/8")
    return Shard(int(number), int(of))
