"""The images of a job, in memory, and the work that a service does with them, counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest
from history_helpers import picture
from stub_backbone import StubBackbone

from app.intake.spool import Entry
from app.service import Service
from detector.detector import Detector


class Pictures:
    """The images of a job, in memory."""

    mask = None

    def __init__(self, seeds: Sequence[int], group: str = "", *, odd: int = 0) -> None:
        self._contents = [picture(seed, odd) for seed in seeds]
        self.entries = [
            Entry(f"{seed}.bmp", group, "normal", len(content), sha256(content).hexdigest())
            for seed, content in zip(seeds, self._contents, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._contents)

    def read(self, index: int) -> bytes:
        return self._contents[index]

    @property
    def digests(self) -> list[str]:
        return [str(entry.sha256) for entry in self.entries]


@dataclass
class Work:
    """What was done since it was last asked."""

    embedded: int = 0
    """Images that went through the backbone."""
    files: list[str] = field(default_factory=list)
    """Files of rows that were read."""
    rows: int = 0
    """Rows that became statistics."""

    def taken(self) -> "Work":
        done = Work(self.embedded, self.files, self.rows)
        self.embedded, self.files, self.rows = 0, [], 0
        return done


def counting(service: Service, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return the work of a service, which is counted from here on."""
    done = Work()
    embed, statistics_of = StubBackbone.embed, Detector.statistics_of
    get = service.storage.blobs.get

    def counted_embed(self: StubBackbone, images: Any) -> Any:
        done.embedded += len(images)
        return embed(self, images)

    def counted_statistics(self: Detector, images: Any) -> Any:
        done.rows += len(images)
        return statistics_of(self, images)

    def counted_get(name: str) -> bytes:
        if "/rows/" in name:
            done.files.append(name)
        return get(name)

    monkeypatch.setattr(StubBackbone, "embed", counted_embed)
    monkeypatch.setattr(Detector, "statistics_of", counted_statistics)
    monkeypatch.setattr(service.storage.blobs, "get", counted_get)
    return done
