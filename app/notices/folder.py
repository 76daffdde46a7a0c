"""Notices as files: one JSON file each in a folder, for what picks up files.

Names begin with the time, so that they sort by it, and end with the id: delivered again, a notice
is the same file. A file is written beside its place, synced and renamed: nobody sees half of one.
What is written begins with a dot, and is written over by the next attempt.
"""

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from app.errors import NotDeliveredError
from app.notices.content import Content, body
from app.notices.one_thread import OneThread


class Folder:
    """One folder, made when it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._thread = OneThread("folder of notices")

    async def deliver(self, content: Content) -> None:
        """Write a notice.

        Raises:
            NotDeliveredError: if it cannot be written: no room, no right, no such disk.
        """
        try:
            await self._thread.run(partial(self._write, content))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise NotDeliveredError(f"the folder of notices fails: {reason}") from error

    def _write(self, content: Content) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        at = datetime.fromisoformat(content["timestamp"]).astimezone(UTC)
        target = self._directory / f"{at:%Y%m%dT%H%M%S.%fZ}-{content['id']}.json"
        unfinished = target.with_name(f".{target.name}.partial")
        with unfinished.open("wb") as file:
            file.write(body(content) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
